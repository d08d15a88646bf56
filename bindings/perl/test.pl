# What Hotcold.pm promises: `perl -I. test.pl DIRECTORY`, where there is no store yet.
use strict;
use warnings;

use Hotcold;

sub check { $_[0] or die 'does not hold at line ' . (caller)[2] . "\n" }

sub fails {
    my ($status, $call) = @_;
    my $lived = eval { $call->(); 1 };
    die "did not fail with $status at line " . (caller)[2] . "\n" if $lived;
    die $@ unless ref $@ && $@->status == $status;
    return $@;
}

sub all {
    my ($next) = @_;
    my @keys;
    while (defined(my $key = $next->())) { push @keys, $key }
    return sort @keys;
}

my $path = shift;
my $store = Hotcold->new($path, storage_id => 'perl', hot_capacity => 1 << 20, warm_start => 'false');
my $events = $store->events(Hotcold::ITEM_STORED);

# Stored and retrieved, both ways.
$store->store('user:1', 'Ada');
$store->store('user:2', "Gr\0\xFF", ttl => 3_600_000);
$store->store('other', '');
check $store->retrieve('user:1') eq 'Ada' && $store->retrieve('user:2') eq "Gr\0\xFF";
check $store->retrieve('other') eq '' && !defined $store->retrieve('absent');
my $buffer = '.' x 16;
check $store->retrieve_into('user:2', $buffer) == 4 && $buffer eq "Gr\0\xFF" . '.' x 12;
check !defined $store->retrieve_into('absent', $buffer);
my $small = '..';
fails(Hotcold::BUFFER_TOO_SMALL, sub { $store->retrieve_into('user:2', $small) });
check $store->contains('user:1') && !$store->contains('absent');

# Iterated.
check join(' ', all($store->keys('user:'))) eq 'user:1 user:2';
check scalar(my @all = all($store->keys)) == 3;

# Told of what happened.
my $event = $events->next(1000);
check $event->{kind} == Hotcold::ITEM_STORED && $event->{key} eq 'user:1';
check $event->{value} eq 'Ada' && $event->{storage_id} eq 'perl' && $event->{version} > 0;
check $events->next->{key} eq 'user:2' && $events->next->{value} eq '' && !$events->next;
check $events->dropped == 0;

# A thread of Perl's has no copy to close.
check $_->CLONE_SKIP for $store, $events, 'Hotcold::Cursor';

$store->store('late', 'x', ttl => -5); # is over, and not for ever
$store->store('short', 'x', ttl => 0.5);
select undef, undef, undef, 0.02;
check !$store->contains('late') && !$store->contains('short');

# Errors have a number, a name and words.
my $error = fails(Hotcold::LOCKED, sub { Hotcold->new($path) });
check $error->name eq 'HOTCOLD_LOCKED' && index("$error", $path) > 0;
$error = fails(Hotcold::INVALID_ARGUMENT, sub { Hotcold->new($path, hot_capactiy => 1) });
check $error->message =~ /hot_capactiy/;

# Deleted, closed, and found again.
check $store->delete('other') && !$store->delete('other');
check $store->stats->{operations}{delete}{operations} == 2;
$store->compact;
$store->sync;
my $keys = $store->keys;
check defined $keys->();
$store->close;
fails(Hotcold::MISUSE, sub { $store->retrieve('user:1') });
fails(Hotcold::MISUSE, $keys);
fails(Hotcold::MISUSE, sub { $store->close });
{ check defined Hotcold->new($path)->keys->(); } # the walk keeps it open, and then it is closed
$store = Hotcold->new($path);
check $store->retrieve('user:2') eq "Gr\0\xFF" && !defined $store->retrieve('other');
$store->clear;
check !defined $store->retrieve('user:1');
check $store->stats->{memory}{held} == 0; # every value was given back
$store->close;
print "ok\n";
