-- What hotcold.lua promises: `luajit test.lua DIRECTORY`, where there is no store yet.
local ffi = require "ffi"
local hotcold = require "hotcold"
local C = hotcold.C
local path = arg[1]

local function fails(status, ...)
  local ok, e = pcall(...)
  assert(not ok and getmetatable(e) == hotcold.Error, e)
  assert(e.status == status and #e.message > 0, tostring(e))
  return e
end

local store = hotcold.open(path, { storage_id = "lua", hot_capacity = 2 ^ 20, warm_start = false })
local events = store:events(C.HOTCOLD_EVENT_ITEM_STORED)

-- Stored and retrieved, both ways.
store:store("user:1", "Ada")
store:store("user:2", "Gr\0ace", 3600000)
store:store("other", "")
assert(store:retrieve "user:1" == "Ada" and store:retrieve "user:2" == "Gr\0ace")
assert(store:retrieve "other" == "" and store:retrieve "absent" == nil)
local buffer = ffi.new "uint8_t[16]"
assert(ffi.string(buffer, store:retrieve_into("user:2", buffer)) == "Gr\0ace")
assert(store:retrieve_into("absent", buffer) == nil)
fails(C.HOTCOLD_BUFFER_TOO_SMALL, store.retrieve_into, store, "user:2", buffer, 2)
assert(store:contains "user:1" and not store:contains "absent")

-- Iterated.
local seen = {}
for key in store:keys "user:" do seen[#seen + 1] = key end
table.sort(seen)
assert(table.concat(seen, " ") == "user:1 user:2")
local count = 0
for _ in store:keys() do count = count + 1 end
assert(count == 3)

-- Told of what happened.
local event = assert(events:next(1000))
assert(event.kind == C.HOTCOLD_EVENT_ITEM_STORED and event.key == "user:1")
assert(event.value == "Ada" and event.storage_id == "lua" and event.version > 0)
assert(events:next().key == "user:2" and events:next().key == "other" and events:next() == nil)
assert(events:dropped() == 0)
events:close()
events:close()
fails(C.HOTCOLD_INVALID_ARGUMENT, events.next, events)

store:store("late", "x", -5) -- is over, and not for ever
store:store("short", "x", 0.5)
local deadline = os.clock() + 0.02
repeat until os.clock() > deadline
assert(not store:contains "late" and not store:contains "short")

-- Errors have a number, a name and words.
local e = fails(C.HOTCOLD_LOCKED, hotcold.open, path)
assert(e.name == "HOTCOLD_LOCKED" and tostring(e):find(path, 1, true), tostring(e))
e = fails(C.HOTCOLD_INVALID_ARGUMENT, hotcold.open, path, { hot_capactiy = 1 })
assert(e.message:find "hot_capactiy", e.message)

-- Deleted, closed, and found again.
assert(store:delete "other" and not store:delete "other")
assert(store:stats():find '"hot"')
store:compact()
store:sync()
local walk = store:keys()
assert(walk())
store:close()
fails(C.HOTCOLD_MISUSE, store.retrieve, store, "user:1")
fails(C.HOTCOLD_MISUSE, walk)
fails(C.HOTCOLD_MISUSE, store.close, store)
do -- a walk keeps its store open; what is left open is closed when it is collected
  local keys = hotcold.open(path):keys()
  collectgarbage()
  assert(keys())
end
walk, store = nil, nil
collectgarbage()
collectgarbage()
store = hotcold.open(path)
assert(store:retrieve "user:2" == "Gr\0ace" and store:retrieve "other" == nil)
store:clear()
assert(store:retrieve "user:1" == nil)
assert(store:stats():find '"held":0,') -- every value was given back
store:close()
print "ok"
