# A Cache::Memcached::Fast client that answers commands on standard input.
# Argument: address of the server.
#
#   set KEY SECONDS N   stores a session of N bytes: stored, or an error
#   get KEY             the length of a session, or absent; damaged if so
#   cas KEY             reads with gets and swaps in a session one byte longer
#   touch KEY SECONDS   touched or absent
#   delete KEY          deleted or absent
use strict;
use warnings;
use Cache::Memcached::Fast;

$| = 1;
my $client = Cache::Memcached::Fast->new({
    servers => [$ARGV[0]], io_timeout => 30, connect_timeout => 10, max_failures => 0, serialize_methods => undef,
});

sub body { join '', map { chr($_ % 251) } 0 .. $_[0] - 1 }

sub length_of {
    my ($value) = @_;
    return 'absent' unless defined $value;
    return $value eq body(length $value) ? length $value : 'damaged';
}

sub outcome {
    my ($result, $yes, $no) = @_;
    return defined $result ? ($result ? $yes : $no) : 'error: no answer';
}

my %answer = (
    set    => sub { outcome($client->set($_[0], body($_[2]), $_[1]), 'stored', 'not stored') },
    get    => sub { length_of($client->get($_[0])) },
    touch  => sub { outcome($client->touch($_[0], $_[1]), 'touched', 'absent') },
    delete => sub { outcome($client->delete($_[0]), 'deleted', 'absent') },
    cas    => sub {
        my $versioned = $client->gets($_[0]) or return 'error: no answer';
        my ($version, $value) = @$versioned;
        outcome($client->cas($_[0], $version, body(1 + length $value)), 'stored', 'exists');
    },
);

while (my $line = <STDIN>) {
    my ($command, @arguments) = split ' ', $line;
    print $answer{$command}->(@arguments), "\n";
}
