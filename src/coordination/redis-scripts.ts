/**
 * The steps in Redis. Each is one script, so that nothing of another proxy comes between its parts.
 *
 * KEYS[1] is a hash with the state of the group, KEYS[2] a list of the newest publications. Fields
 * of the hash, with the names of members behind the colon:
 *
 *     sid            id of the contents: run of the server that they were begun in, and a nonce
 *     seq            publications so far; the list holds the last LLEN of them
 *     i: c: w: j:    instance, challenge, wants (0 or 1), id of the membership
 *     a:FROM>TO      the challenge of TO that FROM has answered in its membership
 *     dup            when (s, Redis' clock) a process found its name taken by another
 *
 * If Redis evicts or an operator deletes the hash, the id is gone and everybody begins anew; if only
 * the list goes, its length says that publications are missing.
 */

/** For so long after two processes were seen to have one name nobody trusts the contents. */
const DUPLICATE_SECONDS = 10;

/**
 * The newest publications that are kept. Members that ask follow several times a second, so this is
 * some 10 000 publications a second, each of up to 64 transactions; who falls behind begins anew
 * with the primary's own position.
 */
const MAX_ENTRIES = 4096;

/** ARGV: run, nonce, name, instance, claim, sid, challenge, wants, enter, join, n, n names, answers. */
export const TICK = `
local state, log = KEYS[1], KEYS[2]
local run, nonce, name, instance = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local sid = redis.call('HGET', state, 'sid')
if not sid or string.sub(sid, 1, #run + 1) ~= run .. '/' then
  redis.call('DEL', state, log)
  sid = run .. '/' .. nonce
  redis.call('HSET', state, 'sid', sid, 'seq', '0')
end
local count = tonumber(ARGV[11])
local function silence()
  for at = 12, 11 + count do redis.call('HDEL', state, 'a:' .. name .. '>' .. ARGV[at]) end
end
local known = redis.call('HGET', state, 'i:' .. name)
if ARGV[5] == '1' or not known then
  redis.call('HSET', state, 'i:' .. name, instance)
  redis.call('HDEL', state, 'j:' .. name)
  silence()
elseif known ~= instance then
  redis.call('HSET', state, 'dup', redis.call('TIME')[1])
  return {'replaced'}
end
redis.call('HSET', state, 'c:' .. name, ARGV[7], 'w:' .. name, ARGV[8])
if sid == ARGV[6] then
  if ARGV[9] ~= '' then
    redis.call('HSET', state, 'j:' .. name, ARGV[9])
    silence()
  elseif ARGV[10] ~= '' and redis.call('HGET', state, 'j:' .. name) == ARGV[10] then
    for at = 12 + count, #ARGV, 2 do
      redis.call('HSET', state, 'a:' .. name .. '>' .. ARGV[at], ARGV[at + 1])
    end
  end
end
local reply = {'ok', sid, redis.call('HGET', state, 'seq')}
for at = 12, 11 + count do
  local member = ARGV[at]
  local words = redis.call('HMGET', state, 'c:' .. member, 'w:' .. member, 'j:' .. member,
    'a:' .. member .. '>' .. name)
  for word = 1, 4 do reply[#reply + 1] = words[word] or '' end
end
return reply
`;

/** ARGV: sid, name, join, entries. Gives 1, or 0 where the membership is not known. */
export const PUBLISH = `
local state, log = KEYS[1], KEYS[2]
if redis.call('HGET', state, 'sid') ~= ARGV[1]
  or redis.call('HGET', state, 'j:' .. ARGV[2]) ~= ARGV[3] then
  return 0
end
for at = 4, #ARGV do redis.call('RPUSH', log, ARGV[at]) end
redis.call('HINCRBY', state, 'seq', #ARGV - 3)
redis.call('LTRIM', log, -${MAX_ENTRIES}, -1)
return 1
`;

/**
 * ARGV: sid, name, after, names. It writes though it only asks: a server that was made a replica
 * refuses that, and so cannot give an old answer.
 */
export const NEWEST = `
local state, log = KEYS[1], KEYS[2]
if redis.call('HGET', state, 'sid') ~= ARGV[1] then return {'forgotten'} end
redis.call('HINCRBY', state, 'asked', 1)
local seq, after = tonumber(redis.call('HGET', state, 'seq')), tonumber(ARGV[3])
local floor = seq - redis.call('LLEN', log)
local entries, complete = {}, 0
if after >= floor and after <= seq then
  entries, complete = redis.call('LRANGE', log, after - floor, -1), 1
end
local duplicate = 0
local at = redis.call('HGET', state, 'dup')
if at and tonumber(redis.call('TIME')[1]) - tonumber(at) < ${DUPLICATE_SECONDS} then duplicate = 1 end
local words = {}
for member = 4, #ARGV do
  words[#words + 1] = redis.call('HGET', state, 'j:' .. ARGV[member]) or ''
  words[#words + 1] = redis.call('HGET', state, 'a:' .. ARGV[member] .. '>' .. ARGV[2]) or ''
end
return {'ok', seq, complete, duplicate, words, entries}
`;
