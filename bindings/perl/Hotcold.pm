# hotcold for Perl, over FFI::Platypus: an embedded key-value store in two tiers, memory and disk.
#
# Keys and values are strings of bytes (encode text first). What fails dies with a Hotcold::Error;
# what is merely absent is undef or false. Events come from a queue, because Perl may not be
# entered from the store's own thread.
package Hotcold;
use strict;
use warnings;

use FFI::Platypus 2.00;
use FFI::Platypus::Buffer qw(buffer_to_scalar scalar_to_buffer);
use JSON::PP ();
use POSIX qw(ceil);

use constant {
    OK => 0, NOT_FOUND => 1, CONFLICT => 2, END_REACHED => 3,
    INVALID_ARGUMENT => -1, MISUSE => -2, IO => -3, CORRUPT => -4, NO_SPACE => -5, LOCKED => -6,
    TOO_LARGE => -7, BUFFER_TOO_SMALL => -8, READ_ONLY => -9, UNSUPPORTED => -10,
    OUT_OF_MEMORY => -11, INTERNAL => -12, CALLBACK_FAILED => -13,

    ITEM_STORED => 1, ITEM_RETRIEVED => 2, ITEM_DELETED => 4, STORAGE_CLEARED => 8,
    PROMOTED => 16, DEMOTED => 32, EVICTED => 64, EXPIRED => 128, COMPACTED => 256,
    ERROR => 512, ALL_EVENTS => 0x7FFFFFFF,
};
use constant STATS_JSON => 1;

# Structs are laid out as in hotcold.h.
{
    package Hotcold::Failure;
    use FFI::Platypus::Record;
    record_layout_1(qw(int32_t status int32_t os_code string(504) message));

    package Hotcold::Value;
    use FFI::Platypus::Record;
    record_layout_1(qw(opaque data size_t len uint64_t version uint64_t expires_at
        int32_t tier uint32_t flags opaque owner uint64_t[2] reserved));

    package Hotcold::StoreOptions;
    use FFI::Platypus::Record;
    record_layout_1(qw(uint64_t ttl uint64_t if_version uint32_t flags uint32_t reserved));

    package Hotcold::Slice;
    use FFI::Platypus::Record;
    record_layout_1(qw(opaque data size_t len));

    package Hotcold::Event;
    use FFI::Platypus::Record;
    record_layout_1(qw(uint32_t kind int32_t tier int32_t status uint32_t size
        opaque key size_t key_len opaque value size_t value_len
        uint64_t version uint64_t expires_at opaque storage_id opaque message));
}

my $ffi = FFI::Platypus->new(api => 2, lib => ['libhotcold.so.0.1']);
$ffi->mangler(sub { "hotcold_$_[0]" });
$ffi->type("record(Hotcold::$_)*", lc $_) for qw(Failure Value StoreOptions Slice);

# A function as a sub of ours; one that returns a status takes the error last.
sub _attach {
    my ($name, $parameters, $result) = @_;
    my $is_fallible = !defined $result;
    my @parameters = (@$parameters, $is_fallible ? 'failure' : ());
    $ffi->attach([$name => "C_$name"] => \@parameters => $result // 'int32_t');
}

_attach(status_name => ['int32_t'], 'string');
_attach(options_new => [], 'opaque');
_attach($_ => ['opaque'], 'void') for qw(options_free cursor_close event_queue_close);
_attach(value_release => ['value'], 'void');
_attach(event_queue_dropped => ['opaque'], 'uint64_t');
_attach(options_set => [qw(opaque string string)]);
_attach(open => [qw(string opaque opaque*)]);
_attach($_ => ['opaque']) for qw(close sync compact clear);
_attach(store_with => [qw(opaque opaque size_t opaque size_t storeoptions size_t opaque)]);
_attach(retrieve => [qw(opaque opaque size_t value)]);
_attach(retrieve_into => [qw(opaque opaque size_t opaque size_t size_t*)]);
_attach($_ => [qw(opaque opaque size_t)]) for qw(contains delete);
_attach(cursor_open => [qw(opaque opaque size_t opaque*)]);
_attach(cursor_next => [qw(opaque slice)]);
_attach(event_queue_open => [qw(opaque uint32_t size_t opaque*)]);
_attach(event_queue_next => [qw(opaque uint64_t opaque*)]);
_attach(stats_text => [qw(opaque int32_t value)]);

# Calls a function; returns whether it gave OK, and dies of what it gave below 0.
sub _call {
    my ($name, @arguments) = @_;
    my $failure = Hotcold::Failure->new;
    my $status = Hotcold->can("C_$name")->(@arguments, $failure);
    die Hotcold::Error->new($status, $failure) if $status < 0;
    return $status == OK;
}

# A string's bytes as pointer and length. Wide characters have no bytes of their own.
sub _bytes {
    utf8::downgrade($_[0], 1) or die "hotcold: wide characters; encode the text first\n";
    return scalar_to_buffer($_[0]);
}

# Copies a value's bytes and gives it back.
sub _take {
    my ($value) = @_;
    my $bytes = buffer_to_scalar($value->data, $value->len);
    C_value_release($value);
    return $bytes;
}

# Opens the store in a directory, or one in memory alone if it is undef. The options have the names
# that hotcold.h lists at hotcold_options_t.
sub new {
    my ($class, $path, %options) = @_;
    my $o = C_options_new();
    my $handle;
    my $is_open = eval {
        _call(options_set => $o, $_, $options{$_}) for CORE::keys %options;
        _call(open => $path, $o, \$handle);
    };
    my $error = $@;
    C_options_free($o);
    die $error unless $is_open;
    return bless { handle => $handle }, $class;
}

# Stores a value; ttl => milliseconds until the key expires.
sub store {
    my ($self, $key, $value, %with) = @_;
    my $ttl = $with{ttl} // 0;
    # What is over already is over at once, not never.
    my $o = Hotcold::StoreOptions->new(ttl => $ttl < 0 ? 1 : ceil($ttl));
    _call(store_with => $self->{handle}, _bytes($key), _bytes($value), $o, 24, undef);
    return;
}

# The value, or undef.
sub retrieve {
    my ($self, $key) = @_;
    my $value = Hotcold::Value->new;
    return _call(retrieve => $self->{handle}, _bytes($key), $value) ? _take($value) : undef;
}

# Copies the value to the front of $_[2], whose length is the capacity; returns its length, or undef.
sub retrieve_into {
    my ($self, $key) = @_;
    my ($pointer, $capacity) = scalar_to_buffer($_[2]);
    my $len;
    my $found = _call(retrieve_into => $self->{handle}, _bytes($key), $pointer, $capacity, \$len);
    return $found ? $len : undef;
}

sub contains {
    my ($self, $key) = @_;
    return _call(contains => $self->{handle}, _bytes($key));
}

# Returns whether the key was there.
sub delete {
    my ($self, $key) = @_;
    return _call(delete => $self->{handle}, _bytes($key));
}

# An iterator over the keys that begin with the prefix, in no useful order: a sub that returns the
# next key, and undef at the end.
sub keys {
    my ($self, $prefix) = @_;
    $prefix //= '';
    _call(cursor_open => $self->{handle}, _bytes($prefix), \my $cursor);
    my $walk = bless { cursor => $cursor, store => $self }, 'Hotcold::Cursor'; # keeps it open
    my $key = Hotcold::Slice->new;
    return sub {
        return undef unless _call(cursor_next => $walk->{cursor}, $key);
        return buffer_to_scalar($key->data, $key->len);
    };
}

# Has events of the kinds in mask queued from now on.
sub events {
    my ($self, $mask, $capacity) = @_;
    _call(event_queue_open => $self->{handle}, $mask // ALL_EVENTS, $capacity // 1024, \my $queue);
    return bless { queue => $queue, store => $self }, 'Hotcold::EventQueue'; # keeps it open
}

# What the store tells of itself.
sub stats {
    my ($self) = @_;
    my $value = Hotcold::Value->new;
    _call(stats_text => $self->{handle}, STATS_JSON, $value);
    return JSON::PP::decode_json(_take($value));
}

sub clear { _call(clear => $_[0]{handle}); return }
sub sync { _call(sync => $_[0]{handle}); return }
sub compact { _call(compact => $_[0]{handle}); return }

# Closes the store; any later call dies of MISUSE.
sub close { _call(close => $_[0]{handle}); return }

# Closed already is fine here: the handle is never given twice. When the whole program ends, the
# functions may be gone before what they would free: the end of the process frees it then, and
# only under write_mode=back has a store to be closed before that.
sub DESTROY { ${^GLOBAL_PHASE} eq 'DESTRUCT' or C_close($_[0]{handle}, undef) }

# A thread of Perl's gets no copies, of which each would be closed.
sub CLONE_SKIP { return 1 }

package Hotcold::Cursor;

sub DESTROY { ${^GLOBAL_PHASE} eq 'DESTRUCT' or Hotcold::C_cursor_close($_[0]{cursor}) }

sub CLONE_SKIP { return 1 }

# A bounded queue of events, made by $store->events.
package Hotcold::EventQueue;
use FFI::Platypus::Buffer qw(buffer_to_scalar);

# The oldest event as a hash, or undef if none comes within the timeout (milliseconds, default 0).
sub next {
    my ($self, $timeout_ms) = @_;
    Hotcold::_call(event_queue_next => $self->{queue}, $timeout_ms // 0, \my $out) or return undef;
    my $event = $ffi->cast('opaque' => 'record(Hotcold::Event)*', $out);
    my %fields = map { $_ => $event->$_ } qw(kind tier status version);
    $fields{storage_id} = $ffi->cast('opaque' => 'string', $event->storage_id);
    $fields{message} = $event->message && $ffi->cast('opaque' => 'string', $event->message);
    $fields{key} = $event->key && buffer_to_scalar($event->key, $event->key_len);
    $fields{value} = $event->value && buffer_to_scalar($event->value, $event->value_len);
    return \%fields;
}

# How many events found the queue full.
sub dropped { return Hotcold::C_event_queue_dropped($_[0]{queue}) }

sub DESTROY { ${^GLOBAL_PHASE} eq 'DESTRUCT' or Hotcold::C_event_queue_close($_[0]{queue}) }

sub CLONE_SKIP { return 1 }

# A failure: a number, its name, errno or 0, and words.
package Hotcold::Error;
use overload '""' => sub { "$_[0]{name}: $_[0]{message}\n" }, fallback => 1;

sub new {
    my ($class, $status, $failure) = @_;
    return bless {
        status => $status,
        name => Hotcold::C_status_name($status),
        os_code => $failure->os_code,
        message => $failure->message =~ s/\0.*//sr,
    }, $class;
}

sub status { return $_[0]{status} }
sub name { return $_[0]{name} }
sub os_code { return $_[0]{os_code} }
sub message { return $_[0]{message} }

1;
