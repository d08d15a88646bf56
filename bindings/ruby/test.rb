# frozen_string_literal: true

# What hotcold.rb promises: `ruby test.rb DIRECTORY`, where there is no store yet.

require 'tmpdir'
require_relative 'hotcold'

def check(holds)
  raise 'does not hold' unless holds
end

def fails(status)
  yield
rescue Hotcold::Error => e
  check e.status == status
  e
else
  raise "did not fail with #{status}"
end

# How many of 20 stores that are left open are closed when they are collected. The collector may take
# some of them for still in use.
def left_open_then_collected
  Dir.mktmpdir do |directory|
    paths = Array.new(20) { |i| "#{directory}/#{i}" }
    Thread.new { paths.each { |path| Hotcold::Store.open(path)['a'] = '' } }.join
    5.times { GC.start }
    paths.count do |path|
      Hotcold::Store.open(path, &:sync)
      true
    rescue Hotcold::Error
      false
    end
  end
end

path = ARGV.fetch(0)
store = Hotcold::Store.open(path, storage_id: 'ruby', hot_capacity: 1 << 20, warm_start: false)
events = store.events(Hotcold::ITEM_STORED)
early = Thread.new { events.next(60_000) } # other threads go on meanwhile
sleep 0.01

# Stored and retrieved, both ways.
store['user:1'] = 'Ada'
store.store('user:2', "Gr\0\xFF", ttl: 3_600_000)
store['other'] = ''
check store['user:1'] == 'Ada' && store.retrieve('user:2') == "Gr\0\xFF".b
check store['other'] == '' && store['absent'].nil?
buffer = FFI::MemoryPointer.new(16)
check buffer.read_bytes(store.retrieve_into('user:2', buffer)) == "Gr\0\xFF".b
check store.retrieve_into('absent', buffer).nil?
fails(Hotcold::Error::BUFFER_TOO_SMALL) { store.retrieve_into('user:2', buffer.slice(0, 2)) }
check store.key?('user:1') && !store.key?('absent')

# Iterated.
check store.each_key('user:').sort == %w[user:1 user:2]
check store.each_key.count == 3

# Told of what happened.
event = early.value
check event.kind == Hotcold::ITEM_STORED && event.key == 'user:1' && event.value == 'Ada'
check event.storage_id == 'ruby' && event.version.positive? && event.message.nil?
check events.next.key == 'user:2' && events.next.value == '' && events.next.nil?
check events.dropped.zero?
events.close
events.close
fails(Hotcold::Error::INVALID_ARGUMENT) { events.next }

store.store('late', 'x', ttl: -5) # is over, and not for ever
store.store('short', 'x', ttl: 0.5)
sleep 0.02
check !store.key?('late') && !store.key?('short')

# Errors have a number, a name and words.
e = fails(Hotcold::Error::LOCKED) { Hotcold::Store.open(path) }
check e.name == 'HOTCOLD_LOCKED' && e.message.include?(path)
e = fails(Hotcold::Error::INVALID_ARGUMENT) { Hotcold::Store.open(path, hot_capactiy: 1) }
check e.message.include?('hot_capactiy')

# Deleted, closed, and found again.
check store.delete('other') && !store.delete('other')
check store.stats[:operations][:delete][:operations] == 2
store.compact
store.sync
keys = store.each_key
check keys.next
store.close
fails(Hotcold::Error::MISUSE) { store['user:1'] }
fails(Hotcold::Error::MISUSE) { keys.next }
fails(Hotcold::Error::MISUSE) { store.close }
check left_open_then_collected > 10
Hotcold::Store.open(path) do |again|
  check again['user:2'] == "Gr\0\xFF".b && again['other'].nil?
  again.clear
  check again['user:1'].nil?
  check again.stats[:memory][:held].zero? # every value was given back
end
puts 'ok'
