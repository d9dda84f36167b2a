import { durationMs, list, name, secret, section, text, type ValueSources } from './leaves.ts';

/** The keys of `coordination`; none of them can be changed while the proxy runs. */

const fixed = (description: string) => ({ description, reloadable: false });

/** The section `coordination`. */
export function coordination(sources: ValueSources) {
  const redis = section({
    url: text('an address', 1024)
      .regex(/^rediss?:\/\/[^\s@/]+(?:\/\d{1,5})?$/, {
        error:
          '"redis://host:port" or "rediss://host:port" (TLS), "/number" behind it for a database, without a password',
      })
      .meta(fixed('Redis as `redis://host:port`, or `rediss://…` with TLS')),
    username: text('an account name', 256)
      .nullable()
      .prefault(null)
      .meta(fixed("Account of Redis' access lists; null: its default account")),
    password: secret(sources).nullable().prefault(null).meta(fixed('Its password')),
    keyPrefix: text('a prefix', 64).default('lagwise:').meta(fixed('Every key begins with it')),
    connectTimeoutMs: durationMs(10, 60_000)
      .default(1000)
      .meta(fixed('To connect and log in to Redis')),
    commandTimeoutMs: durationMs(10, 60_000)
      .default(300)
      .meta(fixed('When Redis has not answered for so long, it counts as away')),
  });
  return section({
    redis: redis
      .nullable()
      .prefault(null)
      .meta(fixed('Where the proxies of a group meet; null: this proxy is the only one')),
    group: name('a group').default('default').meta(fixed('Proxies of one cluster have one group')),
    name: name('a proxy name')
      .nullable()
      .prefault(null)
      .meta(fixed("This proxy's name in `members`, no other's; null: the host name")),
    members: list(name('a proxy name'), 64)
      .default([])
      .meta(fixed('The names of all proxies of the group; the same list for each of them')),
    leaseMs: durationMs(100, 60_000)
      .default(1000)
      .meta(
        fixed(
          'For so long the proxies rely on the word of another; a write waits at most 1.6 times as long, once, when Redis goes away',
        ),
      ),
  });
}
