-- The gate's one script: rate budget of an account and circuit breaker of a host, atomically.
-- The arithmetic is that of local.py, in the same order. Change one only together with the other.
--
-- KEYS[1] breaker of a host, KEYS[2] budget of an account (both hashes, either may be unused)
-- ARGV[1] operation, ARGV[2] its arguments as JSON. Times are whole microseconds.
-- Answers are arrays of strings: a number beyond 2^31 must not pass through Lua's tostring.

local function micros()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end

local now = micros()
local args = cjson.decode(ARGV[2])

local function text(number)
  if number == math.floor(number) then
    return string.format('%.0f', number)
  end
  return string.format('%.17g', number)
end

local function load(key, defaults)
  local state = {}
  for name, value in pairs(defaults) do
    state[name] = value
  end
  local stored = redis.call('HGETALL', key)
  for i = 1, #stored, 2 do
    state[stored[i]] = tonumber(stored[i + 1])
  end
  return state
end

local function save(key, state, lives)
  local flat = {}
  for name, value in pairs(state) do
    flat[#flat + 1] = name
    flat[#flat + 1] = text(value)
  end
  redis.call('HSET', key, unpack(flat))
  redis.call('PEXPIRE', key, text(math.ceil(lives / 1000)))
end

-- budget ------------------------------------------------------------------------------------

local function load_budget()
  return load(KEYS[2], { next_slot = 0, paused_until = 0, factor = 1, factor_at = 0 })
end

-- The state says nothing once its slots and pause are past and the rate has recovered.
local function save_budget(state, rate)
  local ahead = math.max(state.next_slot, state.paused_until, now) - now
  save(KEYS[2], state, ahead + rate.window / rate.recovery + 60000000)
end

local function share_of_rate(state, rate)
  local windows = math.max(0, now - state.factor_at) / rate.window
  return math.min(1, state.factor + rate.recovery * windows)
end

local function take(rate, n, max_wait)
  local state = load_budget()
  local interval = math.ceil(rate.interval / share_of_rate(state, rate))
  local first = math.max(state.next_slot, state.paused_until, now)
  local room = now + max_wait - first
  local granted = 0
  if room >= 0 then
    granted = math.max(0, math.min(n, math.floor(room / interval) + 1))
  end
  if granted > 0 then
    state.next_slot = first + granted * interval
    save_budget(state, rate)
  end
  return granted, first - now, interval, state.next_slot
end

local function refund()
  local state = load_budget()
  if state.next_slot ~= args['end'] then
    return { '0' }
  end
  redis.call('HSET', KEYS[2], 'next_slot', text(state.next_slot - args.unused * args.interval))
  return { '1' }
end

local function pause()
  local state = load_budget()
  state.factor = share_of_rate(state, args.rate)
  if args.slower and state.paused_until <= now then
    state.factor = math.max(args.rate.slowest, state.factor / 2)
  end
  state.paused_until = math.max(state.paused_until, now + args.pause)
  state.factor_at = state.paused_until
  save_budget(state, args.rate)
  return { '1' }
end

-- breaker -----------------------------------------------------------------------------------

local DAY = 86400000000

local function load_circuit()
  return load(KEYS[1], {
    token = 0, opened_until = 0, lease_until = 0, trips = 0, streak = 0,
    window = 0, good = 0, bad = 0, good_before = 0, bad_before = 0, credit = 0,
  })
end

-- Lives longer than any open time: a state that expired while open would let everyone through.
local function save_circuit(state)
  save(KEYS[1], state, math.max(state.opened_until, state.lease_until, now) - now + DAY)
end

local function change(state, opened_until, trips)
  state.token = state.token + 1
  state.opened_until, state.trips = opened_until, trips
  state.lease_until, state.streak = 0, 0
  state.good, state.bad, state.good_before, state.bad_before = 0, 0, 0, 0
end

-- How many requests the budget lets start, in how many microseconds, how far apart.
local function spend(n)
  if not args.budget then
    return n, 0, 0
  end
  if args.budget.reserved then
    local wait = math.max(0, load_budget().paused_until - now)
    return wait == 0 and n or 0, wait, 0
  end
  local granted, wait, interval = take(args.budget.rate, n, args.budget.max_wait)
  return granted, wait, interval
end

local GO, PROBE, OPEN, WAIT, NO_RETRY = '0', '1', '2', '3', '4'

-- One request, or a batch of n that is let through or stopped in one step.
local function enter()
  local state = load_circuit()
  if args.again and state.credit < 1 then
    return { NO_RETRY, '0', text(state.token), '0', '0' }
  end
  local shut = math.max(0, state.opened_until - now, state.lease_until - now)
  if shut > 0 then
    return { OPEN, text(shut), text(state.token), '0', '0' }
  end
  local probing = state.opened_until > 0
  local admitted, wait, interval = spend(probing and 1 or args.n)
  if admitted == 0 then
    return { WAIT, text(wait), text(state.token), '0', '0' }
  end
  local credit = state.credit
  if args.again then
    state.credit = state.credit - 1
  else
    local earned = math.min(args.saved, state.credit + args.share * admitted)
    state.credit = math.max(state.credit, earned)
  end
  if probing then
    state.token = state.token + 1
    state.lease_until = now + wait + args.lease
  end
  if probing or state.credit ~= credit then
    save_circuit(state)
  end
  return { probing and PROBE or GO, text(wait), text(state.token), text(admitted), text(interval) }
end

-- Count an answer while closed; whether it is time to open.
local function count(state, ok)
  local window = math.floor(now / args.window)
  if window ~= state.window then
    local kept = window == state.window + 1
    state.good_before, state.bad_before = kept and state.good or 0, kept and state.bad or 0
    state.window, state.good, state.bad = window, 0, 0
  end
  if ok then
    state.good, state.streak = state.good + 1, 0
    return false
  end
  state.bad, state.streak = state.bad + 1, state.streak + 1
  local failed = state.bad + state.bad_before
  local calls = failed + state.good + state.good_before
  return state.streak >= args.failures
    or (calls >= args.min_calls and failed >= args.ratio * calls)
end

-- Take one answer into account: close, open, or hand a probe's turn on.
local function learn(state, ok)
  local probing = state.opened_until > 0
  if ok == cjson.null then
    if probing then
      state.token = state.token + 1
      state.lease_until = 0
    end
  elseif probing and ok then
    change(state, 0, 0)
  elseif probing or count(state, ok) then
    local open = math.min(args.longest, args.open * 2 ^ math.min(state.trips, 30))
    -- Lua's own random numbers start alike in every call: the caller brings the chance.
    local pause = math.ceil(open * (1 + args.jitter * args.chance) * 1000000)
    change(state, now + pause, state.trips + 1)
  end
end

local function record()
  local state = load_circuit()
  local speaks = false
  for i = 1, #args.outcomes do
    if state.token ~= args.token then
      break
    end
    local ok = args.outcomes[i]
    learn(state, ok)
    speaks = speaks or ok ~= cjson.null or state.token ~= args.token
  end
  if speaks then
    save_circuit(state)
  end
  return { '1' }
end

-- -------------------------------------------------------------------------------------------

local function reserve()
  local granted, wait, interval, slot = take(args.rate, args.n, args.max_wait)
  return { text(granted), text(wait), text(interval), text(slot) }
end

local function snapshot()
  local circuit, budget = load_circuit(), load_budget()
  return {
    text(now),
    text(circuit.opened_until), text(circuit.lease_until), text(circuit.streak),
    text(circuit.trips), text(budget.next_slot), text(budget.paused_until),
    text(share_of_rate(budget, args.rate)),
  }
end

local operations = {
  reserve = reserve, refund = refund, pause = pause,
  enter = enter, record = record, snapshot = snapshot,
}
return operations[ARGV[1]]()
