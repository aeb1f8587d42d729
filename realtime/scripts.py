"""The two Lua scripts that give messages their ids. They need Redis 7 (`XADD <epoch>-*`).

An id is `<epoch>-<n>`: the epoch is the microsecond at which it began, n counts 1, 2, 3 within
it. After a crash Redis may have forgotten its last second and would hand out the same ids again,
so the epoch changes whenever its run id does. A restarted Redis has forgotten its scripts as
well: whoever then is told NOSCRIPT renews the epoch *before* loading the script again, hence a
loaded script proves that the epoch belongs to this run, and publishing needs no look at the run
id.
"""

from __future__ import annotations

import hashlib

# KEYS: epoch hash. Returns the epoch, new if Redis was restarted or emptied.
EPOCH = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('HMGET', KEYS[1], 'run', 'epoch')
if known[1] == run and known[2] then return known[2] end
local now = redis.call('TIME')
local epoch = now[1] * 1000000 + now[2]
if known[2] and tonumber(known[2]) >= epoch then epoch = tonumber(known[2]) + 1 end
epoch = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'run', run, 'epoch', epoch)
return epoch
"""

# KEYS: epoch hash, stream. ARGV: channel, history length, kind, body. Returns the id.
# A new epoch's first automatic id ends in 0; it is replaced by 1, so that `<epoch>-0` can mean
# «before the first message».
PUBLISH = """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return redis.error_reply('NOEPOCH') end
local function add()
  return redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], epoch .. '-*',
                    'kind', ARGV[3], 'body', ARGV[4])
end
local id = add()
if string.sub(id, -2) == '-0' then
  redis.call('XDEL', KEYS[2], id)
  id = add()
end
redis.call('PUBLISH', ARGV[1], id .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
return id
"""

# The protocol names scripts by this digest; nothing is protected by it.
PUBLISH_SHA = hashlib.sha1(PUBLISH.encode(), usedforsecurity=False).hexdigest()
