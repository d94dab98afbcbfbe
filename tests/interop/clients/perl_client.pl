# Cache::Memcached (pure Perl) and Cache::Memcached::Fast (in C): what it does and prints, see
# ../interop.py. Usage: perl_client.pl CLASS exercise HOST PORT | CLASS failover HOST PORT PORT
use strict;
use warnings;
use Time::HiRes qw(sleep time);

use constant BIG  => (1 << 20) - 1024;
use constant KEYS => 100;

$| = 1;
my $failures = 0;

sub check {
    my ($what, $got, $wanted) = @_;
    my ($g, $w) = map { defined $_ ? $_ : 'undef' } $got, $wanted;
    if ($g eq $w) {
        print "pass $what\n";
    } else {
        ++$failures;
        printf "fail %s: %.100s, not %.100s\n", $what, $g, $w;
    }
}

sub holds { check($_[0], $_[1] ? 1 : 0, 1) }
sub not_so { check($_[0], $_[1] ? 1 : 0, 0) }

# Until it returns what is wanted; counts the calls in vain.
my $repeated = 0;

sub again {
    my ($call, $wanted) = @_;
    for (1 .. 100) {
        my $got = $call->();
        return 1 if defined $got && $got eq $wanted;
        ++$repeated;
        sleep 0.1;
    }
    return 0;
}

sub exercise {
    my ($class, $host, $port) = @_;
    my $fast = $class eq 'Cache::Memcached::Fast';
    my $mc   = $class->new({ servers => ["$host:$port"], compress_threshold => 10_000_000 });

    holds('flush_all', $mc->flush_all);
    check('get of nothing', $mc->get('none'), undef);
    holds('set', $mc->set('k', 'v'));
    check('get', $mc->get('k'), 'v');
    not_so('add of what is there', $mc->add('k', 'x'));
    holds('add', $mc->add('k2', 'y'));
    holds('replace', $mc->replace('k2', 'y'));
    not_so('replace of nothing', $mc->replace('none', 'y'));
    holds('append',  $mc->append('k2', 'z'));
    holds('prepend', $mc->prepend('k2', 'x'));
    check('the joined value', $mc->get('k2'), 'xyz');
    $mc->set("m$_", "v$_") for 0 .. 99;
    my $many = $mc->get_multi(map { "m$_" } 0 .. 100);
    check('get_multi', scalar(grep { ($many->{"m$_"} // '') eq "v$_" } 0 .. 99), 100);
    check('get_multi of no more', scalar(keys %$many), 100);
    $mc->set('n', 10);
    check('incr', $mc->incr('n', 5) + 0, 15);
    check('decr', $mc->decr('n', 20) + 0, 0);
    not_so('incr of nothing', $mc->incr('none'));
    holds('delete', $mc->delete('k'));
    not_so('delete of nothing', $mc->delete('k'));
    my $long = 'k' x 250;
    holds('set with a key of 250 bytes', $mc->set($long, 'long'));
    check('get with a key of 250 bytes', $mc->get($long), 'long');
    my $binary = join('', map { chr } 0 .. 255) . "\r\nEND\r\nVALUE x 0 1\r\n\0\0";
    holds('set of a binary value', $mc->set('left:binary', $binary));
    holds('get of a binary value', $mc->get('left:binary') eq $binary);
    my $big = 'x' x BIG;
    holds('set of a large value', $mc->set('left:large', $big));
    holds('get of a large value', $mc->get('left:large') eq $big);
    not_so('set of too large a value', $mc->set('large', 'x' x (2 << 20)));
    check('in step after it', $mc->get($long), 'long');
    $mc->set('o', { list => [1, 2], text => 'x' });
    check('objects', $mc->get('o')->{list}[1], 2);
    $mc->set('gone', 'v', 1);
    my $deadline = time + 5;
    sleep 0.05 while defined $mc->get('gone') && time < $deadline;
    check('expiry', $mc->get('gone'), undef);

    if ($fast) {
        my $got = $mc->gets('k2');
        check('gets', $got->[1], 'xyz');
        holds('cas', $mc->cas('k2', $got->[0], 'w'));
        not_so('cas too late', $mc->cas('k2', $got->[0], 'q'));
        holds('touch', $mc->touch('k2', 100));
        not_so('touch of nothing', $mc->touch('none', 100));
        check('gat', ${ [$mc->gat(100, 'k2')] }[0], 'w');
        my @done = $mc->set_multi(map { ["s$_", $_] } 0 .. 99);
        check('set_multi', scalar(grep { $_ } @done), 100);
        check('delete_multi', scalar(grep { $_ } $mc->delete_multi(map { "s$_" } 0 .. 49)), 50);
        holds('versions', $mc->server_versions->{"$host:$port"});
    }

    # In a void context both ask for no reply.
    my $silent = $fast ? $class->new({ servers => ["$host:$port"], nowait => 1 }) : $mc;
    $silent->set("q$_", $_) for 0 .. 999;
    $silent->nowait_push if $fast;
    holds('stores without replies', again(sub { $mc->get('q999') }, 999));

    $mc->set('left:text', 'text');
    $mc->set('left:number', 7);
}

sub failover {
    my ($class, $host, $first, $second) = @_;
    my ($get, $set);
    if ($class eq 'Cache::Memcached::Fast') {
        # It sends a dead server's keys nowhere else: the application has an object for each node,
        # and turns to the second when the first does not answer.
        my @nodes = map {
            $class->new({ servers => ["$host:$_"], max_failures => 1, failure_timeout => 60,
                          connect_timeout => 1 })
        } $first, $second;
        my $first_of = sub {
            my $method = shift;
            for (@nodes) { my $got = $_->$method(@_); return $got if defined $got }
            return undef;
        };
        $get = sub { $first_of->('get', @_) };
        $set = sub { $first_of->('set', @_) };
    } else {
        my $mc = $class->new({ servers => ["$host:$first", "$host:$second"] });
        $get = sub { $mc->get(@_) };
        $set = sub { $mc->set(@_) };
    }
    for my $i (0 .. KEYS - 1) {
        my $stored = again(sub { $set->("f$i", "v$i") ? 1 : 0 }, 1);
        holds('stores before the failover', 0) unless $stored;
    }
    $repeated = 0;
    print "stored\n";
    <STDIN>;
    holds('reads what was stored before',
        KEYS == grep { my $i = $_; again(sub { $get->("f$i") }, "v$i") } 0 .. KEYS - 1);
    print "failed $repeated\n";
    holds('stores afterwards',
        KEYS == grep { my $i = $_; again(sub { $set->("g$i", "w$i") ? 1 : 0 }, 1) } 0 .. KEYS - 1);
    holds('reads it', KEYS == grep { ($get->("g$_") // '') eq "w$_" } 0 .. KEYS - 1);
}

my ($class, $mode, @arguments) = @ARGV;
eval "require $class" or die $@;
if ($mode eq 'exercise') { exercise($class, @arguments) } else { failover($class, @arguments) }
print "end\n";
exit($failures ? 1 : 0);
