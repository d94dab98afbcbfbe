# Dalli with the meta protocol: what it does and prints, see ../interop.py.
# Usage: ruby_client.rb exercise HOST PORT | failover HOST PORT PORT
require 'dalli'
require 'logger'

BIG = (1 << 20) - 1024
KEYS = 100

$stdout.sync = true
$failures = 0
$repeated = 0
Dalli.logger = Logger.new(IO::NULL)

def check(what, got, wanted = true)
  if got == wanted
    puts "pass #{what}"
  else
    $failures += 1
    puts "fail #{what}: #{got.inspect[0, 100]}, not #{wanted.inspect[0, 100]}"
  end
end

def stored?(what, got)
  check(what, got ? true : false)
end

def eventually(what)
  deadline = Time.now + 5
  sleep 0.05 until yield || Time.now > deadline
  check(what, yield ? true : false)
end

# Until it returns what is wanted; counts the calls in vain.
def again(wanted)
  100.times do
    begin
      return true if yield == wanted
    rescue Dalli::DalliError
      nil
    end
    $repeated += 1
    sleep 0.1
  end
  false
end

def exercise(host, port)
  mc = Dalli::Client.new("#{host}:#{port}", protocol: :meta, value_max_bytes: 4 << 20)
  stored?('flush', mc.flush)
  check('get of nothing', mc.get('none'), nil)
  stored?('set', mc.set('k', 'v'))
  check('get', mc.get('k'), 'v')
  check('add of what is there', mc.add('k', 'x'), false)
  stored?('add', mc.add('k2', 'y', 0, raw: true))
  stored?('replace', mc.replace('k2', 'y', 0, raw: true))
  check('replace of nothing', mc.replace('none', 'y'), false)
  stored?('append', mc.append('k2', 'z'))
  stored?('prepend', mc.prepend('k2', 'x'))
  check('the joined value', mc.get('k2', raw: true), 'xyz')

  names = (0...100).map { |i| "m#{i}" }
  names.each { |name| mc.set(name, name) }
  check('get_multi', mc.get_multi(*names, 'none'), names.to_h { |name| [name, name] })
  uniques = mc.get_multi_cas(*names)
  check('get_multi_cas', uniques.values.map { |_, cas| cas }.uniq.size, 100)

  stored?('set of a number', mc.set('n', '10', 0, raw: true))
  check('incr', mc.incr('n', 5), 15)
  check('decr', mc.decr('n', 20), 0)
  check('incr of nothing', mc.incr('none', 1), nil)
  check('incr with a default', mc.incr('n2', 1, 100, 7), 7)
  stored?('cas', mc.cas('k') { |value| "#{value}w" })
  check('what cas stored', mc.get('k'), 'vw')
  check('cas of nothing', mc.cas('none') { 'x' }, nil)
  value, unique = mc.get_cas('k')
  check('get_cas', value, 'vw')
  stored?('set_cas', mc.set_cas('k', 'w', unique))
  check('set_cas too late', mc.set_cas('k', 'q', unique), false)
  check('delete_cas too late', mc.delete_cas('k', unique), false)
  stored?('touch', mc.touch('k', 100))
  check('touch of nothing', mc.touch('none', 100), nil)
  check('gat', mc.gat('k', 100), 'w')
  check('fetch', mc.fetch('fetched') { 'made' }, 'made')
  check('delete', mc.delete('k'))
  check('delete of nothing', mc.delete('k'), false)

  long = 'k' * 250
  stored?('set with a key of 250 bytes', mc.set(long, 'long'))
  check('get with a key of 250 bytes', mc.get(long), 'long')
  # It sends keys that are not ASCII in base64, which the server is told.
  stored?('set with a key in Unicode', mc.set("snow\u2603man", 'cold'))
  check('get with a key in Unicode', mc.get("snow\u2603man"), 'cold')
  # No CR LF in it: over the meta protocol Dalli 3.2 takes a value to end there.
  binary = (0..255).map(&:chr).join.b + "\nEN\nVA 1\r\0\0".b
  stored?('set of a binary value', mc.set('left:binary', binary, 0, raw: true))
  check('get of a binary value', mc.get('left:binary', raw: true).b == binary)
  big = 'x' * BIG
  stored?('set of a large value', mc.set('left:large', big, 0, raw: true, compress: false))
  check('get of a large value', mc.get('left:large', raw: true) == big)
  refused = begin
    !mc.set('large', 'x' * (2 << 20), 0, raw: true, compress: false)
  rescue Dalli::DalliError
    true
  end
  check('set of too large a value', refused)
  check('in step after it', mc.get(long), 'long')
  thing = { 'list' => [1, 2.5, nil], 'text' => "snowman \u2603" }
  mc.set('o', thing)
  check('objects', mc.get('o'), thing)
  mc.set('gone', 'v', 1)
  eventually('expiry') { mc.get('gone').nil? }
  mc.quiet do
    1000.times { |i| mc.set("q#{i}", i.to_s) }
    500.times { |i| mc.delete("q#{i}") }
  end
  check('quiet stores', mc.get('q999'), '999')
  check('quiet deletes', mc.get('q499'), nil)
  check('version', mc.version.values.first.to_s.start_with?('1.'))
  check('stats', mc.stats.values.first.key?('curr_items'))
  mc.set('left:text', 'text')
  mc.set('left:number', '7', 0, raw: true)
  mc.close
end

def failover(host, first, second)
  mc = Dalli::Client.new(["#{host}:#{first}", "#{host}:#{second}"],
                         protocol: :meta, failover: true, down_retry_delay: 60,
                         socket_timeout: 1, socket_max_failures: 0)
  all = ->(&call) { (0...KEYS).map(&call).all? }
  check('stores before the failover', all.call { |i| again(true) { !!mc.set("f#{i}", "v#{i}") } })
  $repeated = 0
  puts 'stored'
  $stdin.gets
  check('reads what was stored before', all.call { |i| again("v#{i}") { mc.get("f#{i}") } })
  puts "failed #{$repeated}"
  check('stores afterwards', all.call { |i| again(true) { !!mc.set("g#{i}", "w#{i}") } })
  check('reads it', all.call { |i| mc.get("g#{i}") == "w#{i}" })
end

mode, host, *ports = ARGV
mode == 'exercise' ? exercise(host, *ports) : failover(host, *ports)
puts 'end'
exit($failures.zero? ? 0 : 1)
