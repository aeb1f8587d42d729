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

local THROTTLED, STOPPED = 1, 2

-- The newest settings govern, whoever asks: a worker may hold those of half a minute ago.
local function load_budget()
  local state = load(KEYS[2], {
    last_slot = 0, paused_until = 0, paused_by = 0, factor = 1, factor_at = 0,
    refusals = 0, refused_at = 0, slowed_at = 0, asked = -1,
    revision = 0, interval = 0, window = 0, slowest = 0, recovery = 0,
  })
  local rate = args.rate
  if rate.revision >= state.revision then
    state.newer = rate.revision > state.revision
    state.revision, state.interval, state.window = rate.revision, rate.interval, rate.window
    state.slowest, state.recovery = rate.slowest, rate.recovery
  end
  return state
end

-- The state says nothing once its slots and pause are past and the rate has recovered.
local function save_budget(state)
  state.newer = nil
  local ahead = math.max(state.last_slot + state.interval, state.paused_until, now) - now
  save(KEYS[2], state, ahead + state.window / state.recovery + 60000000)
end

local function share_of_rate(state)
  local windows = math.max(0, now - state.factor_at) / state.window
  return math.min(1, state.factor + state.recovery * windows)
end

local function next_slot(state, interval)
  return math.max(state.last_slot + interval, state.paused_until, now)
end

local function interval_now(state)
  return math.ceil(state.interval / share_of_rate(state))
end

local function take(n, max_wait)
  local state = load_budget()
  local interval = interval_now(state)
  local first = next_slot(state, interval)
  local room = now + max_wait - first
  local granted = 0
  if room >= 0 then
    granted = math.max(0, math.min(n, math.floor(room / interval) + 1))
  end
  if granted > 0 then
    state.last_slot = first + (granted - 1) * interval
  end
  if granted > 0 or state.newer then
    save_budget(state)
  end
  return granted, first - now, interval, state.last_slot
end

local function refund()
  local last = tonumber(redis.call('HGET', KEYS[2], 'last_slot') or '0')
  if last ~= args.last then
    return { '0' }
  end
  redis.call('HSET', KEYS[2], 'last_slot', text(last - args.unused * args.interval))
  return { '1' }
end

-- A refusal while the rate is full begins a new story; while paused it only adds to it.
local function refuse(state)
  local share = share_of_rate(state)
  if state.paused_until <= now then
    if share == 1 then
      state.refusals = 0
    end
    state.factor = math.max(state.slowest, share / 2)
    state.slowed_at = now
  end
  state.refusals, state.refused_at, state.asked = state.refusals + 1, now, args.asked
end

local function pause()
  local state = load_budget()
  state.factor = share_of_rate(state)
  if args.slower then
    refuse(state)
  end
  if now + args.pause >= state.paused_until then
    state.paused_until = now + args.pause
    state.paused_by = args.slower and THROTTLED or STOPPED
  end
  state.factor_at = state.paused_until
  save_budget(state)
  return { '1' }
end

-- End a pause early: the rate recovers from now on.
local function resume()
  local state = load_budget()
  if state.paused_until <= now then
    return { '0' }
  end
  state.factor, state.factor_at = share_of_rate(state), now
  state.paused_until, state.paused_by = 0, 0
  save_budget(state)
  return { '1' }
end

-- breaker -----------------------------------------------------------------------------------

local DAY = 86400000000

local function load_circuit()
  return load(KEYS[1], {
    token = 0, opened_until = 0, lease_until = 0, trips = 0, streak = 0,
    window = 0, good = 0, bad = 0, good_before = 0, bad_before = 0, good_at = 0, credit = 0,
    offered_until = 0, opened_at = 0, trip_streak = 0, trip_failed = 0, trip_calls = 0,
  })
end

-- Lives longer than any open time: a state that expired while open would let everyone through.
local function save_circuit(state)
  save(KEYS[1], state, math.max(state.opened_until, state.lease_until, now) - now + DAY)
end

local function change(state, opened_until, trips)
  state.token = state.token + 1
  state.opened_until, state.trips = opened_until, trips
  state.lease_until, state.offered_until, state.streak = 0, 0, 0
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
  local granted, wait, interval = take(n, args.budget.max_wait)
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
    state.lease_until, state.offered_until = now + wait + args.lease, 0
  end
  if probing or state.credit ~= credit then
    save_circuit(state)
  end
  return { probing and PROBE or GO, text(wait), text(state.token), text(admitted), text(interval) }
end

-- Count an answer while closed; whether it is time to open. A source that failed already before
-- the host last answered anybody tells of itself: it does not lengthen the row of failures.
local function count(state, ok, ago)
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
  state.bad = state.bad + 1
  if not ago or state.good_at <= now - ago then
    state.streak = state.streak + 1
  end
  local failed = state.bad + state.bad_before
  local calls = failed + state.good + state.good_before
  return state.streak >= args.failures
    or (calls >= args.min_calls and failed >= args.ratio * calls)
end

-- What made the circuit open stays known while further probes fail.
local function remember_why(state)
  state.opened_at, state.trip_streak = now, state.streak
  state.trip_failed = state.bad + state.bad_before
  state.trip_calls = state.trip_failed + state.good + state.good_before
end

-- Take one answer into account: close, open, or hand a probe's turn on.
local function learn(state, ok, ago)
  local probing = state.opened_until > 0
  if ok == true then
    state.good_at = now
  end
  if ok == cjson.null then
    if probing then
      state.token = state.token + 1
      state.lease_until = 0
    end
  elseif probing and ok then
    change(state, 0, 0)
    state.opened_at = 0
  elseif probing or count(state, ok, ago) then
    if not probing then
      remember_why(state)
    end
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
    learn(state, ok, args.ago[tostring(i)])
    speaks = speaks or ok ~= cjson.null or state.token ~= args.token
  end
  if speaks then
    save_circuit(state)
  end
  return { '1' }
end

-- -------------------------------------------------------------------------------------------

-- Whether the one probe of a half-open host may be handed to a worker; nobody else hears yes.
local function offer()
  local state = load_circuit()
  local shut = math.max(state.opened_until, state.lease_until, state.offered_until) > now
  if state.opened_until == 0 or shut then
    return { '0' }
  end
  state.offered_until = now + args.lasts
  save_circuit(state)
  return { '1' }
end

local function reserve()
  local granted, wait, interval, last = take(args.n, args.max_wait)
  return { text(granted), text(wait), text(interval), text(last) }
end

local function full_at(state)
  if share_of_rate(state) == 1 then
    return 0
  end
  return state.factor_at + math.ceil((1 - state.factor) / state.recovery * state.window)
end

local function snapshot()
  local circuit, budget = load_circuit(), load_budget()
  local interval = interval_now(budget)
  local answer = {
    now,
    circuit.opened_until, circuit.lease_until, circuit.offered_until, circuit.streak,
    circuit.trips, circuit.opened_at, circuit.trip_streak, circuit.trip_failed, circuit.trip_calls,
    next_slot(budget, interval), interval, budget.paused_until, budget.paused_by,
    share_of_rate(budget), full_at(budget),
    budget.refusals, budget.refused_at, budget.slowed_at, budget.asked,
  }
  if budget.newer then
    save_budget(budget)
  end
  for place, number in ipairs(answer) do
    answer[place] = text(number)
  end
  return answer
end

local function time()
  return { text(now) }
end

local operations = {
  now = time,
  reserve = reserve, refund = refund, pause = pause, resume = resume, offer = offer,
  enter = enter, record = record, snapshot = snapshot,
}
return operations[ARGV[1]]()
