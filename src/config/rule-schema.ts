import { z } from 'zod';
import { parseBlock } from './cidr.ts';
import { durationMs, flag, list, name, oneOf, section, text } from './leaves.ts';

/** The part of the schema that is about `rules`; see docs/rules.md for what they mean. */

/** The words of `consistency`, weakest first. */
export const CONSISTENCIES = ['eventual', 'session', 'global', 'strong'] as const;
export type Consistency = (typeof CONSISTENCIES)[number];

export const POOL_MODES = ['transaction', 'session'] as const;
export type PoolMode = (typeof POOL_MODES)[number];

/** Every statement that a rule may apply to looks at all of them once: keep the walk short. */
const MAX_RULES = 256;
const MAX_MATCHES = 1000;
/** As many as a server may have. */
const MAX_REPLICA_TAGS = 32;

const live = (description: string) => ({ description, reloadable: true });

/** One word or a list of them; always a list in the config. Empty: whatever it is. */
function someOf<Item extends z.ZodType<string>>(item: Item, what: string) {
  return z
    .union([item, list(item, MAX_MATCHES)], {
      error: `${what}, or a list of 0 to ${MAX_MATCHES} of them`,
    })
    .transform((given): readonly string[] => (typeof given === 'string' ? [given] : given))
    .prefault([]);
}

function digest() {
  return z.string({ error: DIGEST }).regex(/^[0-9a-fA-F]{16}$/, { error: DIGEST });
}
const DIGEST = '16 hexadecimal digits as `lagwise classify` prints them';

function block() {
  return z
    .string({ error: BLOCK })
    .max(64, { error: BLOCK })
    .refine((text) => parseBlock(text) !== null, { error: BLOCK, abort: true });
}
const BLOCK = 'an IP address or a block of them such as "10.0.0.0/8" or "fd00::/8"';

const match = () =>
  section({
    user: someOf(text('an account name', 80), 'an account name').meta(
      live('Accounts as clients log in with them'),
    ),
    schema: someOf(text('a schema name', 64), 'a schema name').meta(
      live("The session's current schema; upper and lower case differ"),
    ),
    clientAddr: someOf(block(), BLOCK).meta(live("Blocks that hold the client's IP address")),
    digest: someOf(digest(), DIGEST).meta(live('Digests of statements')),
    tablePrefix: someOf(text('the beginning of a table name', 130), 'a table prefix').meta(
      live(
        'How the name of any table of the statement begins, upper or lower case; `audit.` or `audit.log_` with the schema',
      ),
    ),
    tag: someOf(text('a tag', 64), 'a tag').meta(
      live('Tags given by comment, query attribute or session variable'),
    ),
  });

const rule = () =>
  section({
    name: text('a rule name', 80)
      .nullable()
      .prefault(null)
      .meta(live('For people: shown by `lagwise explain`')),
    match: match()
      .prefault({})
      .meta({ description: 'Every key must match; without any the rule is for every statement' }),
    target: oneOf(['primary', 'replica'])
      .nullable()
      .prefault(null)
      .meta(live('Where reads go; what writes goes to the primary whatever this says')),
    consistency: oneOf(CONSISTENCIES)
      .nullable()
      .prefault(null)
      .meta(live('As `routing.consistency`')),
    maxLagMs: durationMs(0).nullable().prefault(null).meta(live('As `routing.maxLagMs`')),
    replicaTags: list(name('a tag of a server'), MAX_REPLICA_TAGS, 1)
      .nullable()
      .prefault(null)
      .meta(live('Reads go to replicas that have all of these `tags`')),
    poolMode: oneOf(POOL_MODES)
      .nullable()
      .prefault(null)
      .meta(live('As `pool.mode`; `session` holds from the first statement that matches')),
    assumeRead: flag()
      .default(false)
      .meta(
        live(
          'Dangerous: statements of `match.digest` that call functions unknown to Lagwise are taken for reads. One that writes is refused by the replica and runs on the primary, but locks and variables that it leaves behind go unseen',
        ),
      ),
  });

/** `rules`: an ordered list. */
export function rules() {
  return list(rule(), MAX_RULES)
    .prefault([])
    .meta(
      live('Exceptions for some statements; for each setting the first rule that gives it wins'),
    );
}
