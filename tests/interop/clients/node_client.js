// npm's `memcached` for Node: what it does and prints, see ../interop.py.
// Usage: node_client.js exercise HOST PORT | failover HOST PORT PORT
'use strict';

const Memcached = require('memcached');
const readline = require('readline');

const BIG = (1 << 20) - 1024;
const KEYS = 100;

let failures = 0;
let repeated = 0;

function check(what, got, wanted = true) {
  if (JSON.stringify(got) === JSON.stringify(wanted)) {
    console.log(`pass ${what}`);
    return;
  }
  ++failures;
  console.log(`fail ${what}: ${String(JSON.stringify(got)).slice(0, 100)}`);
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// A method's result; an error that the library reports becomes {error}.
function ask(mc, method, ...words) {
  return new Promise((done) => {
    mc[method](...words, (error, got) => done(error ? { error: String(error) } : got));
  });
}

async function eventually(what, condition) {
  const deadline = Date.now() + 5000;
  while (!(await condition()) && Date.now() < deadline) await pause(50);
  check(what, Boolean(await condition()));
}

// Until it returns what is wanted; counts the calls in vain.
async function again(call, wanted) {
  for (let i = 0; i < 100; ++i) {
    if ((await call()) === wanted) return true;
    ++repeated;
    await pause(100);
  }
  return false;
}

async function exercise(host, port) {
  const mc = new Memcached(`${host}:${port}`, { maxValue: 4 << 20 });
  const run = (...words) => ask(mc, ...words);

  check('flush', await run('flush'), [true]);
  check('get of nothing', (await run('get', 'none')) === undefined);
  check('set', await run('set', 'k', 'v', 0));
  check('get', await run('get', 'k'), 'v');
  check('add of what is there', 'error' in (await run('add', 'k', 'x', 0)));
  check('add', await run('add', 'k2', 'y', 0));
  check('replace', await run('replace', 'k2', 'y', 0));
  check('replace of nothing', 'error' in (await run('replace', 'none', 'y', 0)));
  check('append', await run('append', 'k2', 'z'));
  check('prepend', await run('prepend', 'k2', 'x'));
  check('the joined value', await run('get', 'k2'), 'xyz');

  const names = [...Array(100).keys()].map((i) => `m${i}`);
  // All at once over its pool of connections.
  const stored = await Promise.all(names.map((name) => run('set', name, name, 0)));
  check('many sets at once', stored.every((one) => one === true));
  const many = await run('getMulti', [...names, 'none']);
  check('getMulti', names.every((name) => many[name] === name) && Object.keys(many).length === 100);

  await run('set', 'n', 10, 0);
  check('incr', await run('incr', 'n', 5), 15);
  check('decr', await run('decr', 'n', 20), 0);
  check('incr of nothing', await run('incr', 'none', 1), false);
  const { cas } = await run('gets', 'k');
  check('cas', await run('cas', 'k', 'w', cas, 0));
  check('cas too late', await run('cas', 'k', 'q', cas, 0), false);
  check('touch', await run('touch', 'k', 100));
  check('touch of nothing', await run('touch', 'none', 100), false);
  check('del', await run('del', 'k'));
  check('del of nothing', await run('del', 'k'), false);

  const long = 'k'.repeat(250);
  check('set with a key of 250 bytes', await run('set', long, 'long', 0));
  check('get with a key of 250 bytes', await run('get', long), 'long');
  const binary = Buffer.concat([
    Buffer.from([...Array(256).keys()]), Buffer.from('\r\nEND\r\nVALUE x 0 1\r\n\0\0')]);
  check('set of a binary value', await run('set', 'left:binary', binary, 0));
  check('get of a binary value', binary.equals(await run('get', 'left:binary')));
  const big = 'x'.repeat(BIG);
  check('set of a large value', await run('set', 'left:large', big, 0));
  check('get of a large value', (await run('get', 'left:large')) === big);
  // Nothing too large: for a SERVER_ERROR it gives the whole server up for a while.
  const thing = { list: [1, 2.5, null], text: 'snowman \u2603' };
  await run('set', 'o', thing, 0);
  check('objects', await run('get', 'o'), thing);
  await run('set', 'gone', 'v', 1);
  await eventually('expiry', async () => (await run('get', 'gone')) === undefined);
  check('version', (await run('version')).length, 1);
  check('stats', 'replication' in (await run('stats'))[0]);
  await run('set', 'left:text', 'text', 0);
  await run('set', 'left:number', 7, 0);
  mc.end();
}

async function failover(host, first, second) {
  // Both in the ring: with a single server the library never looks at its failOverServers.
  const mc = new Memcached([`${host}:${first}`, `${host}:${second}`], {
    remove: true, failures: 0, retries: 0, retry: 1, timeout: 1000, reconnect: 60000,
  });
  mc.on('issue', () => {});
  const all = async (call) => {
    let good = true;
    for (let i = 0; i < KEYS; ++i) good = (await call(i)) && good;
    return good;
  };
  const put = (key, value) => again(() => ask(mc, 'set', key, value, 0), true);
  const read = (key, value) => again(() => ask(mc, 'get', key), value);

  check('stores before the failover', await all((i) => put(`f${i}`, `v${i}`)));
  repeated = 0;
  const input = readline.createInterface({ input: process.stdin });
  const told = new Promise((done) => input.once('line', done));
  console.log('stored');
  await told;
  input.close();
  check('reads what was stored before', await all((i) => read(`f${i}`, `v${i}`)));
  console.log(`failed ${repeated}`);
  check('stores afterwards', await all((i) => put(`g${i}`, `w${i}`)));
  check('reads it', await all((i) => read(`g${i}`, `w${i}`)));
  mc.end();
}

const [mode, ...words] = process.argv.slice(2);
(mode === 'exercise' ? exercise(...words) : failover(...words)).then(() => {
  console.log('end');
  process.exit(failures === 0 ? 0 : 1);
});
