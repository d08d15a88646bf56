<?php
/**
 * hotcold for PHP (8.1 or newer, ext-ffi): an embedded key-value store in two tiers, memory and disk.
 *
 * Reads its declarations from hotcold.cdef.h, the header as it is installed for languages that
 * parse it: from beside this file, or from /usr/local/include or /usr/include.
 *
 * Keys and values are strings with any bytes in them. What fails throws a Hotcold\Exception; what
 * is merely absent is null or false. Events come from a queue, because PHP may not be called back
 * from the store's own thread.
 */
declare(strict_types=1);

namespace Hotcold;

use FFI;
use FFI\CData;

/** A failure: the status is the code, and the words are the message. */
final class Exception extends \RuntimeException
{
    public function __construct(int $status, string $message, public readonly int $osCode)
    {
        parent::__construct(Library::get()->hotcold_status_name($status) . ": $message", $status);
    }
}

/** The C interface, for what is not wrapped here: Library::get()->hotcold_verify(...). */
final class Library
{
    private static ?FFI $ffi = null;

    public static function get(): FFI
    {
        return self::$ffi ??= FFI::cdef(self::header(), 'libhotcold.so.0.1');
    }

    private static function header(): string
    {
        foreach ([__DIR__, '/usr/local/include', '/usr/include'] as $directory) {
            if (is_readable("$directory/hotcold.cdef.h")) {
                return file_get_contents("$directory/hotcold.cdef.h");
            }
        }
        throw new \LogicException('no hotcold.cdef.h beside Hotcold.php nor where headers are');
    }

    /** Calls a function whose last parameter is the error. Returns its status unless that is a failure. */
    public static function call(string $function, mixed ...$arguments): int
    {
        $error = self::get()->new('hotcold_error_t');
        $arguments[] = FFI::addr($error);
        $status = self::get()->{"hotcold_$function"}(...$arguments);
        if ($status < 0) {
            throw new Exception($status, FFI::string($error->message), $error->os_code);
        }
        return $status;
    }

    /** The bytes of a value, which is given back. */
    public static function take(CData $value): string
    {
        try {
            return self::bytes($value->data, $value->len);
        } finally {
            self::get()->hotcold_value_release(FFI::addr($value));
        }
    }

    public static function bytes(CData $data, int $len): string
    {
        return $len === 0 ? '' : FFI::string($data, $len);
    }
}

/** What happened; kind is one of the HOTCOLD_EVENT_ bits. */
final class Event
{
    public function __construct(
        public readonly int $kind,
        public readonly int $tier,
        public readonly int $status,
        public readonly ?string $key,
        public readonly ?string $value,
        public readonly int $version,
        public readonly string $storageId,
        public readonly ?string $message,
    ) {
    }
}

/** A bounded queue of events, made by Store::events(). */
final class EventQueue
{
    public function __construct(private CData $queue)
    {
    }

    /** The oldest event, or null if none comes in time. */
    public function next(int $timeoutMs = 0): ?Event
    {
        $out = Library::get()->new('const hotcold_event_t *');
        if (Library::call('event_queue_next', $this->queue, $timeoutMs, FFI::addr($out)) !== 0) {
            return null;
        }
        return new Event(
            $out->kind,
            $out->tier,
            $out->status,
            $out->key === null ? null : Library::bytes($out->key, $out->key_len),
            $out->value === null ? null : Library::bytes($out->value, $out->value_len),
            $out->version,
            self::text($out->storage_id) ?? '',
            self::text($out->message),
        );
    }

    /** How many events found the queue full. */
    public function dropped(): int
    {
        return Library::get()->hotcold_event_queue_dropped($this->queue);
    }

    public function __destruct()
    {
        Library::get()->hotcold_event_queue_close($this->queue);
    }

    /** There is one owner, who closes it once. */
    private function __clone()
    {
    }

    /** FFI gives a `const char *` in a struct as a string already, or null, or as a pointer. */
    private static function text(CData|string|null $text): ?string
    {
        return $text instanceof CData ? FFI::string($text) : $text;
    }
}

final class Store
{
    private CData $handle;

    /**
     * Opens the store in a directory, or one in memory alone if $path is null. $options has the
     * names that hotcold.h lists at hotcold_options_t.
     *
     * @param array<string, string|int|bool> $options
     */
    public function __construct(?string $path, array $options = [])
    {
        $ffi = Library::get();
        $o = $ffi->hotcold_options_new();
        try {
            foreach ($options as $name => $setting) {
                $text = is_bool($setting) ? var_export($setting, true) : (string) $setting;
                Library::call('options_set', $o, $name, $text);
            }
            $out = $ffi->new('hotcold_t *');
            Library::call('open', $path, $o, FFI::addr($out));
            $this->handle = $out;
        } finally {
            $ffi->hotcold_options_free($o);
        }
    }

    /** Stores a value; $ttlMs, if not 0, is the time until the key expires. */
    public function store(string $key, string $value, int $ttlMs = 0): void
    {
        $o = Library::get()->new('hotcold_store_options_t');
        $o->ttl = $ttlMs < 0 ? 1 : $ttlMs; // what is over already is over at once, not never
        Library::call('store_with', $this->handle, $key, strlen($key), $value, strlen($value),
            FFI::addr($o), FFI::sizeof($o), null);
    }

    public function retrieve(string $key): ?string
    {
        $value = Library::get()->new('hotcold_value_t');
        $status = Library::call('retrieve', $this->handle, $key, strlen($key), FFI::addr($value));
        return $status === 0 ? Library::take($value) : null;
    }

    /** Copies the value into $buffer, an array of bytes; returns its length, or null. */
    public function retrieveInto(string $key, CData $buffer): ?int
    {
        $len = Library::get()->new('size_t');
        $status = Library::call('retrieve_into', $this->handle, $key, strlen($key),
            FFI::addr($buffer), FFI::sizeof($buffer), FFI::addr($len));
        return $status === 0 ? $len->cdata : null;
    }

    public function contains(string $key): bool
    {
        return Library::call('contains', $this->handle, $key, strlen($key)) === 0;
    }

    /** Returns whether the key was there. */
    public function delete(string $key): bool
    {
        return Library::call('delete', $this->handle, $key, strlen($key)) === 0;
    }

    /**
     * The keys that begin with $prefix, in no useful order.
     *
     * @return \Generator<int, string>
     */
    public function keys(string $prefix = ''): \Generator
    {
        $ffi = Library::get();
        $cursor = $ffi->new('hotcold_cursor_t *');
        $key = $ffi->new('hotcold_slice_t');
        Library::call('cursor_open', $this->handle, $prefix, strlen($prefix), FFI::addr($cursor));
        try {
            while (Library::call('cursor_next', $cursor, FFI::addr($key)) === 0) {
                yield Library::bytes($key->data, $key->len);
            }
        } finally {
            $ffi->hotcold_cursor_close($cursor);
        }
    }

    /** Has events of the kinds in $mask queued from now on. */
    public function events(?int $mask = null, int $capacity = 1024): EventQueue
    {
        $out = Library::get()->new('hotcold_event_queue_t *');
        $mask ??= Library::get()->HOTCOLD_EVENT_ALL;
        Library::call('event_queue_open', $this->handle, $mask, $capacity, FFI::addr($out));
        return new EventQueue($out);
    }

    /** What the store tells of itself. */
    public function stats(): array
    {
        $value = Library::get()->new('hotcold_value_t');
        $json = Library::get()->HOTCOLD_STATS_JSON;
        Library::call('stats_text', $this->handle, $json, FFI::addr($value));
        return json_decode(Library::take($value), true, flags: JSON_THROW_ON_ERROR);
    }

    public function clear(): void
    {
        Library::call('clear', $this->handle);
    }

    public function sync(): void
    {
        Library::call('sync', $this->handle);
    }

    public function compact(): void
    {
        Library::call('compact', $this->handle);
    }

    /** Closes the store; any later call throws HOTCOLD_MISUSE. */
    public function close(): void
    {
        Library::call('close', $this->handle);
    }

    public function __destruct()
    {
        // Closed already is fine here: the handle is never given twice.
        if (isset($this->handle)) {
            Library::get()->hotcold_close($this->handle, null);
        }
    }

    /** There is one owner: the end of a copy would close it. */
    private function __clone()
    {
    }
}
