# frozen_string_literal: true

# hotcold for Ruby, over the ffi gem: an embedded key-value store in two tiers, memory and disk.
#
# Keys and values are Strings of bytes; what comes out has the encoding BINARY. What fails raises a
# Hotcold::Error; what is merely absent is nil or false. Calls give up the interpreter's lock, so
# other Ruby threads go on. Events come from a queue, because the ffi gem would have to start a
# Ruby thread for each event of the store's own thread.

require 'ffi'
require 'json'

module Hotcold
  # The C interface. Structs are laid out as in hotcold.h.
  module C
    extend FFI::Library
    ffi_lib 'libhotcold.so.0.1'

    class Failure < FFI::Struct
      layout :status, :int32, :os_code, :int32, :message, [:char, 504]
    end

    class Value < FFI::Struct
      layout :data, :pointer, :len, :size_t, :version, :uint64, :expires_at, :uint64,
             :tier, :int32, :flags, :uint32, :owner, :pointer, :reserved, [:uint64, 2]

      # The bytes; the value is given back.
      def take
        self[:data].read_bytes(self[:len])
      ensure
        C.hotcold_value_release(self)
      end
    end

    class StoreOptions < FFI::Struct
      layout :ttl, :uint64, :if_version, :uint64, :flags, :uint32, :reserved, :uint32
    end

    class Slice < FFI::Struct
      layout :data, :pointer, :len, :size_t
    end

    class Event < FFI::Struct
      layout :kind, :uint32, :tier, :int32, :status, :int32, :size, :uint32,
             :key, :pointer, :key_len, :size_t, :value, :pointer, :value_len, :size_t,
             :version, :uint64, :expires_at, :uint64, :storage_id, :string, :message, :string
    end

    # A function that returns a status and takes the error last.
    def self.fallible(name, *parameters)
      attach_function :"hotcold_#{name}", [*parameters, :pointer], :int32, blocking: true
    end

    attach_function :hotcold_status_name, [:int32], :string
    attach_function :hotcold_options_new, [], :pointer
    attach_function :hotcold_options_free, [:pointer], :void
    attach_function :hotcold_value_release, [:pointer], :void
    attach_function :hotcold_cursor_close, [:pointer], :void
    attach_function :hotcold_event_queue_dropped, [:pointer], :uint64
    attach_function :hotcold_event_queue_close, [:pointer], :void
    fallible :options_set, :pointer, :string, :string
    fallible :open, :string, :pointer, :pointer
    %i[close sync compact clear].each { |name| fallible name, :pointer }
    # Bytes go in as :buffer_in: a String's own, NUL or not.
    fallible :store_with, :pointer, :buffer_in, :size_t, :buffer_in, :size_t, :pointer, :size_t, :pointer
    fallible :retrieve, :pointer, :buffer_in, :size_t, :pointer
    fallible :retrieve_into, :pointer, :buffer_in, :size_t, :pointer, :size_t, :pointer
    fallible :contains, :pointer, :buffer_in, :size_t
    fallible :delete, :pointer, :buffer_in, :size_t
    fallible :cursor_open, :pointer, :buffer_in, :size_t, :pointer
    fallible :cursor_next, :pointer, :pointer
    fallible :event_queue_open, :pointer, :uint32, :size_t, :pointer
    fallible :event_queue_next, :pointer, :uint64, :pointer
    fallible :stats_text, :pointer, :int32, :pointer

    OK = 0
    STATS_JSON = 1

    # Calls a function; returns whether it gave HOTCOLD_OK, and raises what it gave below 0.
    def self.call(name, *arguments)
      failure = Failure.new
      status = public_send(:"hotcold_#{name}", *arguments, failure)
      raise Error.new(status, failure) if status.negative?

      status == OK
    end

    # Calls a function whose last parameter but the error is an output that holds a pointer.
    def self.open(name, *arguments)
      out = FFI::MemoryPointer.new(:pointer)
      call(name, *arguments, out)
      out.read_pointer
    end
  end

  # A failure: a number, its name, errno or 0, and words.
  class Error < StandardError
    LOCKED = -6
    INVALID_ARGUMENT = -1
    MISUSE = -2
    BUFFER_TOO_SMALL = -8

    attr_reader :status, :name, :os_code

    def initialize(status, failure)
      @status = status
      @name = C.hotcold_status_name(status)
      @os_code = failure[:os_code]
      super("#{@name}: #{failure[:message].to_s.force_encoding(Encoding::UTF_8)}")
    end
  end

  # Kinds of events, to be combined with |.
  ITEM_STORED = 1
  ITEM_RETRIEVED = 2
  ITEM_DELETED = 4
  STORAGE_CLEARED = 8
  PROMOTED = 16
  DEMOTED = 32
  EVICTED = 64
  EXPIRED = 128
  COMPACTED = 256
  ERROR = 512
  ALL = 0x7FFFFFFF

  Event = Struct.new(:kind, :tier, :status, :key, :value, :version, :storage_id, :message,
                     keyword_init: true)

  # A bounded queue of events, made by Store#events. For one thread at a time.
  class EventQueue
    def initialize(store, queue)
      @store = store # kept open
      @queue = FFI::AutoPointer.new(queue, C.method(:hotcold_event_queue_close))
    end

    # The oldest event, or nil if none comes in time.
    def next(timeout_ms = 0)
      out = FFI::MemoryPointer.new(:pointer)
      return unless C.call(:event_queue_next, @queue, timeout_ms, out)

      event = C::Event.new(out.read_pointer)
      Event.new(key: bytes(event[:key], event[:key_len]),
                value: bytes(event[:value], event[:value_len]),
                **%i[kind tier status version storage_id message].to_h { |name| [name, event[name]] })
    end

    # How many events found the queue full.
    def dropped
      C.hotcold_event_queue_dropped(@queue)
    end

    # Ends the queue; closing again does nothing.
    def close
      @queue&.free
      @queue = nil
    end

    private

    def bytes(data, len)
      data.read_bytes(len) unless data.null?
    end
  end

  class Store
    # Opens the store in a directory, or one in memory alone if +path+ is nil. The options have the
    # names that hotcold.h lists at hotcold_options_t. With a block the store is closed at its end.
    def self.open(path, **options)
      store = new(path, **options)
      return store unless block_given?

      begin
        yield store
      ensure
        store.close
      end
    end

    # What was left open is closed when it is collected. Closed already is fine: a handle is never
    # given twice.
    def self.release(handle)
      C.hotcold_close(handle, nil)
    end
    private_class_method :release

    def initialize(path, **options)
      o = C.hotcold_options_new
      options.each { |name, setting| C.call(:options_set, o, name.to_s, setting.to_s) }
      @handle = FFI::AutoPointer.new(C.open(:open, path, o), Store.method(:release))
    ensure
      C.hotcold_options_free(o)
    end

    # Stores a value; +ttl+, if not 0, is the time in milliseconds until the key expires.
    def store(key, value, ttl: 0)
      o = C::StoreOptions.new
      # What is over already is over at once, not never.
      o[:ttl] = ttl.negative? ? 1 : ttl.ceil
      C.call(:store_with, @handle, key, key.bytesize, value, value.bytesize, o, o.size, nil)
      value
    end
    alias []= store

    # The value, or nil.
    def retrieve(key)
      value = C::Value.new
      value.take if C.call(:retrieve, @handle, key, key.bytesize, value)
    end
    alias [] retrieve

    # Copies the value into +buffer+, an FFI::MemoryPointer; returns its length, or nil.
    def retrieve_into(key, buffer)
      len = FFI::MemoryPointer.new(:size_t)
      found = C.call(:retrieve_into, @handle, key, key.bytesize, buffer, buffer.size, len)
      len.get(:size_t, 0) if found
    end

    def key?(key)
      C.call(:contains, @handle, key, key.bytesize)
    end

    # Returns whether the key was there.
    def delete(key)
      C.call(:delete, @handle, key, key.bytesize)
    end

    # Yields each key that begins with +prefix+, in no useful order; an Enumerator without a block.
    def each_key(prefix = '')
      return enum_for(:each_key, prefix) unless block_given?

      # An Enumerator may be left alone half way.
      cursor = FFI::AutoPointer.new(C.open(:cursor_open, @handle, prefix, prefix.bytesize),
                                    C.method(:hotcold_cursor_close))
      begin
        key = C::Slice.new
        yield key[:data].read_bytes(key[:len]) while C.call(:cursor_next, cursor, key)
      ensure
        cursor.free
      end
    end

    # Has events of the kinds in +mask+ queued from now on.
    def events(mask = ALL, capacity: 1024)
      EventQueue.new(self, C.open(:event_queue_open, @handle, mask, capacity))
    end

    # What the store tells of itself.
    def stats
      value = C::Value.new
      C.call(:stats_text, @handle, C::STATS_JSON, value)
      JSON.parse(value.take, symbolize_names: true)
    end

    def clear
      C.call(:clear, @handle)
    end

    def sync
      C.call(:sync, @handle)
    end

    def compact
      C.call(:compact, @handle)
    end

    # Closes the store; any later call raises HOTCOLD_MISUSE.
    def close
      C.call(:close, @handle)
    end
  end
end
