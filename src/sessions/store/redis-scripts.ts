/*
 * The steps that must not be torn apart. Redis runs a script as a whole, and each may be carried out twice: a
 * command whose answer was lost together with the connection is sent again.
 */

/**
 * Puts a record in the place of the one that was seen, which is given whole: nothing but the same text is the same.
 * Gives 1, or what is there instead, so that the next try needs no reading.
 *
 * The mark tells a write that is sent again that it has been done, also when others have written since. Without it
 * the change would be made a second time.
 *
 * KEYS: record, set of sessions, mark. ARGV: id, the text seen (empty: none), the text to put, the write's own id,
 * ms until the record expires (0: never).
 */
export const SWAP = `
if redis.call('GET', KEYS[3]) == ARGV[4] then return 1 end
local current = redis.call('GET', KEYS[1])
if (current or '') ~= ARGV[2] then return current end
redis.call('SADD', KEYS[2], ARGV[1])
if ARGV[5] == '0' then redis.call('SET', KEYS[1], ARGV[3])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[5]) end
redis.call('SET', KEYS[3], ARGV[4], 'PX', 60000)
return 1`;

/**
 * Removes the record that was seen. Gives 1 when it is gone.
 * KEYS: record, set of sessions. ARGV: id, the text seen (empty: none).
 */
export const FORGET = `
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[1])
return 1`;

/**
 * Moves what is not a record out of the way, unless it has been replaced since it was seen. Gives 1 to the one of
 * many callers that has moved it.
 * KEYS: record, the place for it, set of sessions. ARGV: id, the text seen (left out: it is not a text).
 */
export const SET_ASIDE = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return 0 end
if kind == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
return 1`;

/**
 * Does to keys of its own what the other scripts do to records, and leaves nothing: it succeeds where they would.
 * KEYS: three that nobody else has.
 */
export const TRY = `
redis.call('SET', KEYS[1], '1', 'PX', 60000)
redis.call('GET', KEYS[1])
redis.call('TYPE', KEYS[1])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('SADD', KEYS[3], '1')
redis.call('SREM', KEYS[3], '1')
redis.call('DEL', KEYS[2])
return 1`;
