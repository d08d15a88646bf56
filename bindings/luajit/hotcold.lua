--- hotcold for LuaJIT: an embedded key-value store in two tiers, memory and disk.
--
-- Reads its declarations from hotcold.cdef.h, the header as it is installed for languages that
-- parse it: from beside this file, or from /usr/local/include or /usr/include.
--
-- Keys and values are Lua strings with any bytes in them. What fails raises an Error, a table with
-- status, name, os_code and message; what is merely absent is nil or false. Events come from a
-- queue, because a Lua state may not be entered from the store's own thread.

local ffi = require "ffi"

local function read_header()
  local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
  for _, directory in ipairs { here, "/usr/local/include/", "/usr/include/" } do
    local file = io.open(directory .. "hotcold.cdef.h")
    if file then
      local text = file:read "*a"
      file:close()
      return text
    end
  end
  error "hotcold: there is no hotcold.cdef.h beside hotcold.lua nor where headers are installed"
end

ffi.cdef(read_header())
local C = ffi.load "libhotcold.so.0.1"

--- C is the whole C interface, for what is not wrapped here.
local hotcold = { C = C }

local Error = { __tostring = function(e) return e.name .. ": " .. e.message end }
hotcold.Error = Error

--- Every call has an error of its own: a finalizer may run in the middle of any other.
local function new_error() return ffi.new "hotcold_error_t" end

--- Returns the status if it is no failure, and raises it otherwise.
local function check(status, e)
  if status >= 0 then return status end
  error(setmetatable({
    status = status,
    name = ffi.string(C.hotcold_status_name(status)),
    os_code = e.os_code,
    message = ffi.string(e.message),
  }, Error), 2)
end

--- The bytes as a string; the value is given back.
local function take(value)
  local text = ffi.string(value.data, value.len)
  C.hotcold_value_release(value)
  return text
end

--- Options in Lua to text: 2^40 must not become 1.0995116277760e+12.
local function text_of(setting)
  return type(setting) == "number" and ("%.0f"):format(setting) or tostring(setting)
end

--- A queue of events, bounded; made by store:events().
local Events = {}
Events.__index = Events

--- The oldest event as a table, or nil if none comes within timeout_ms (default 0).
function Events:next(timeout_ms)
  local out, e = ffi.new "const hotcold_event_t *[1]", new_error()
  if check(C.hotcold_event_queue_next(self.queue, timeout_ms or 0, out, e), e) ~= C.HOTCOLD_OK then
    return nil
  end
  local event = out[0]
  return {
    kind = event.kind,
    tier = event.tier,
    status = event.status,
    key = event.key ~= nil and ffi.string(event.key, event.key_len) or nil,
    value = event.value ~= nil and ffi.string(event.value, event.value_len) or nil,
    version = event.version,
    storage_id = ffi.string(event.storage_id),
    message = event.message ~= nil and ffi.string(event.message) or nil,
  }
end

--- How many events found the queue full.
function Events:dropped() return tonumber(C.hotcold_event_queue_dropped(self.queue)) end

--- Ends the queue; closing again does nothing.
function Events:close()
  if self.queue then C.hotcold_event_queue_close(ffi.gc(self.queue, nil)) end
  self.queue = nil
end

local Store = {}
Store.__index = Store

--- Opens the store in the directory `path`, or one in memory alone if it is nil. `options` is a
--- table of the names that hotcold.h lists at hotcold_options_t.
function hotcold.open(path, options)
  local e = new_error()
  local o = ffi.gc(C.hotcold_options_new(), C.hotcold_options_free)
  for name, setting in pairs(options or {}) do
    check(C.hotcold_options_set(o, name, text_of(setting), e), e)
  end
  local out = ffi.new "hotcold_t *[1]"
  check(C.hotcold_open(path, o, out, e), e)
  local handle = ffi.gc(out[0], function(s) C.hotcold_close(s, nil) end)
  return setmetatable({ handle = handle }, Store)
end

--- A time to live as the library takes it: what is over already is over at once, not never.
local function whole_ms(ttl) return ttl < 0 and 1 or math.ceil(ttl) end

--- Stores a value; ttl_ms, if given, is the time until the key expires.
function Store:store(key, value, ttl_ms)
  local e = new_error()
  local o = ffi.new("hotcold_store_options_t", { ttl = whole_ms(ttl_ms or 0) })
  check(C.hotcold_store_with(self.handle, key, #key, value, #value, o, ffi.sizeof(o), nil, e), e)
end

--- The value, or nil.
function Store:retrieve(key)
  local value, e = ffi.new "hotcold_value_t", new_error()
  local status = check(C.hotcold_retrieve(self.handle, key, #key, value, e), e)
  return status == C.HOTCOLD_OK and take(value) or nil
end

--- Copies the value into `buffer`, a byte array made by ffi.new; returns its length, or nil.
function Store:retrieve_into(key, buffer, capacity)
  local len, e = ffi.new "size_t[1]", new_error()
  capacity = capacity or ffi.sizeof(buffer)
  local status = check(
    C.hotcold_retrieve_into(self.handle, key, #key, buffer, capacity, len, e), e)
  return status == C.HOTCOLD_OK and tonumber(len[0]) or nil
end

function Store:contains(key)
  local e = new_error()
  return check(C.hotcold_contains(self.handle, key, #key, e), e) == C.HOTCOLD_OK
end

--- Whether the key was there.
function Store:delete(key)
  local e = new_error()
  return check(C.hotcold_delete(self.handle, key, #key, e), e) == C.HOTCOLD_OK
end

--- Iterates over the keys, in no useful order: for key in store:keys "user:" do ... end
function Store:keys(prefix)
  prefix = prefix or ""
  local out, key, e = ffi.new "hotcold_cursor_t *[1]", ffi.new "hotcold_slice_t", new_error()
  check(C.hotcold_cursor_open(self.handle, prefix, #prefix, out, e), e)
  -- The walk keeps the store open.
  local walk = { store = self, cursor = ffi.gc(out[0], C.hotcold_cursor_close) }
  return function()
    if check(C.hotcold_cursor_next(walk.cursor, key, e), e) == C.HOTCOLD_OK then
      return ffi.string(key.data, key.len)
    end
  end
end

--- Has events of the kinds in `mask` (C.HOTCOLD_EVENT_..., default all) queued from now on.
function Store:events(mask, capacity)
  local out, e = ffi.new "hotcold_event_queue_t *[1]", new_error()
  mask = mask or C.HOTCOLD_EVENT_ALL
  check(C.hotcold_event_queue_open(self.handle, mask, capacity or 1024, out, e), e)
  local queue = ffi.gc(out[0], C.hotcold_event_queue_close)
  return setmetatable({ store = self, queue = queue }, Events) -- keeps the store open
end

--- What the store tells of itself, as JSON.
function Store:stats()
  local value, e = ffi.new "hotcold_value_t", new_error()
  check(C.hotcold_stats_text(self.handle, C.HOTCOLD_STATS_JSON, value, e), e)
  return take(value)
end

for _, name in ipairs { "clear", "sync", "compact" } do
  Store[name] = function(self)
    local e = new_error()
    check(C["hotcold_" .. name](self.handle, e), e)
  end
end

--- Closes the store; any later call raises HOTCOLD_MISUSE.
function Store:close()
  local e = new_error()
  check(C.hotcold_close(ffi.gc(self.handle, nil), e), e)
end

return hotcold
