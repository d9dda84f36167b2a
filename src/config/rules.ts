import { addressOf, type Config } from './schema.ts';

/**
 * What must hold between keys. Each rule is a pure function from a config of the right shape to
 * the problems it finds; a wrong combination is refused, never corrected in silence.
 */
type Rule = (config: Config) => readonly string[];

const RULES: readonly Rule[] = [
  serversAreDistinct,
  serversAreNotTheProxy,
  usersAreDistinct,
  certificateIsComplete,
  listenersAreDistinct,
  verifyNeedsTls,
  identityNeedsNames,
  holdOutlastsDetection,
  rulesSaySomething,
  assumedReadsAreNamed,
  ruleNamesAreDistinct,
  groupIsComplete,
  reservedServersHaveTags,
  someServerTakesEachRead,
  restsAreOrdered,
];

/** All problems between keys, each starting with its path. */
export function crossProblems(config: Config): readonly string[] {
  return RULES.flatMap((rule) => rule(config));
}

function duplicates<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  describe: (index: number, key: string, first: number) => string,
): string[] {
  const firstAt = new Map<string, number>();
  return items.flatMap((item, index) => {
    const key = keyOf(item);
    const first = firstAt.get(key);
    if (first !== undefined) return [describe(index, key, first)];
    firstAt.set(key, index);
    return [];
  });
}

function serversAreDistinct({ servers }: Config): string[] {
  return [
    ...duplicates(
      servers,
      (server) => server.id,
      (index, id, first) => `servers[${index}].id: "${id}" is also the id of servers[${first}]`,
    ),
    ...duplicates(
      servers,
      (server) => addressOf(server).toLowerCase(),
      (index, address, first) => `servers[${index}]: ${address} is also servers[${first}]`,
    ),
  ];
}

function serversAreNotTheProxy({ servers, listen }: Config): string[] {
  if (listen.port === 0) return [];
  return servers.flatMap((server, index) =>
    addressOf(server) === addressOf(listen)
      ? [`servers[${index}]: ${addressOf(server)} is where Lagwise itself listens (listen)`]
      : [],
  );
}

function usersAreDistinct({ users }: Config): string[] {
  if (users === 'passthrough') return [];
  return duplicates(
    users,
    (user) => user.user,
    (index, name, first) => `users[${index}].user: "${name}" is also users[${first}]`,
  );
}

function certificateIsComplete({ listen: { tls } }: Config): string[] {
  if (tls.certFile !== null && tls.keyFile === null) {
    return ['listen.tls.keyFile: missing, expected the private key of listen.tls.certFile'];
  }
  if (tls.keyFile !== null && tls.certFile === null) {
    return ['listen.tls.certFile: missing, expected the certificate of listen.tls.keyFile'];
  }
  return [];
}

function listenersAreDistinct({ listen, admin }: Config): string[] {
  if (!admin.enabled || admin.port === 0 || addressOf(listen) !== addressOf(admin)) return [];
  return [`admin.port: ${addressOf(admin)} is also listen, expected another port`];
}

function verifyNeedsTls({ listen: { tls }, serverTls }: Config): string[] {
  const problems: string[] = [];
  if (tls.mode === 'off' && tls.caFile !== null) {
    problems.push('listen.tls.caFile: client certificates need TLS, but listen.tls.mode is "off"');
  }
  if (serverTls.caFile !== null && !serverTls.mode.startsWith('verify-')) {
    problems.push(
      `serverTls.caFile: is not used with serverTls.mode "${serverTls.mode}", expected "verify-ca" or "verify-identity"`,
    );
  }
  return problems;
}

/**
 * A primary that falls silent is noticed after an interval, of the idle pace at worst, and a
 * timeout; writes must be held for longer.
 */
function holdOutlastsDetection({ monitor, failover }: Config): string[] {
  const { intervalMs, idleIntervalMs, timeoutMs } = monitor;
  const interval = idleIntervalMs > intervalMs ? 'idleIntervalMs' : 'intervalMs';
  const noticedMs = monitor[interval] + timeoutMs;
  if (failover.holdMs === 0 || failover.holdMs > noticedMs) return [];
  return [
    `failover.holdMs: ${failover.holdMs} is not longer than monitor.${interval} + monitor.timeoutMs (${noticedMs}): held writes would fail before a dead primary is noticed; expected more, or 0 to hold none`,
  ];
}

/** Certificates of servers bear names; an address would be compared with none of them. */
function identityNeedsNames({ servers, serverTls }: Config): string[] {
  if (serverTls.mode !== 'verify-identity') return [];
  return servers.flatMap(({ host }, index) =>
    /^[\d.]+$|:/.test(host)
      ? [
          `servers[${index}].host: found the address "${host}", expected a name, since serverTls.mode "verify-identity" compares it with the certificate (or use "verify-ca")`,
        ]
      : [],
  );
}

/** A rule without an outcome is half a thought: it would hide nothing and change nothing. */
function rulesSaySomething({ rules }: Config): string[] {
  return rules.flatMap(
    ({ target, consistency, maxLagMs, replicaTags, poolMode, assumeRead }, index) =>
      assumeRead ||
      [target, consistency, maxLagMs, replicaTags, poolMode].some((value) => value !== null)
        ? []
        : [
            `rules[${index}]: gives nothing, expected at least one of "target", "consistency", "maxLagMs", "replicaTags", "poolMode", "assumeRead"`,
          ],
  );
}

/** Only a statement that somebody has looked at may be taken for what it does not look like. */
function assumedReadsAreNamed({ rules }: Config): string[] {
  return rules.flatMap(({ match, assumeRead }, index) =>
    assumeRead && match.digest.length === 0
      ? [
          `rules[${index}].match.digest: missing, expected the digests that "assumeRead" is about (see lagwise explain)`,
        ]
      : [],
  );
}

function ruleNamesAreDistinct({ rules }: Config): string[] {
  const named = rules.flatMap(({ name }, index) => (name === null ? [] : [{ name, index }]));
  return duplicates(
    named,
    ({ name }) => name,
    (at, name, first) =>
      `rules[${named[at]?.index}].name: "${name}" is also the name of rules[${named[first]?.index}]`,
  );
}

/** A proxy that the others do not count on would acknowledge writes that their reads miss. */
function groupIsComplete({ coordination }: Config): string[] {
  const { redis, name, members, leaseMs } = coordination;
  const problems = duplicates(
    members,
    (member) => member,
    (index, member, first) =>
      `coordination.members[${index}]: "${member}" is also coordination.members[${first}]`,
  );
  if (redis === null) {
    // Each would take itself for the only one, and no read would see what another acknowledged.
    if (members.length > 1) {
      problems.push(
        `coordination.redis: missing, expected the Redis where the ${members.length} proxies of coordination.members meet`,
      );
    }
    return problems;
  }
  if (members.length === 0) {
    problems.push('coordination.members: empty, expected the names of all proxies of the group');
  } else if (name !== null && !members.includes(name)) {
    problems.push(`coordination.members: "${name}" is missing, which is coordination.name`);
  }
  if (redis.commandTimeoutMs >= leaseMs) {
    problems.push(
      `coordination.redis.commandTimeoutMs: ${redis.commandTimeoutMs} is not shorter than coordination.leaseMs (${leaseMs}): an answer would come too late to count`,
    );
  }
  return problems;
}

/** Nobody could ever ask for a reserved server without tags. */
function reservedServersHaveTags({ servers }: Config): string[] {
  return servers.flatMap(({ reserved, tags }, index) =>
    reserved && tags.length === 0
      ? [
          `servers[${index}].tags: found none, expected those that reads ask for, since servers[${index}].reserved is true`,
        ]
      : [],
  );
}

function someServerTakesEachRead({ servers, rules }: Config): string[] {
  const known = new Set(servers.flatMap(({ tags }) => tags));
  const list = known.size === 0 ? 'no tags' : [...known].map((tag) => `"${tag}"`).join(', ');
  return rules.flatMap(({ replicaTags }, index) => {
    if (replicaTags === null) return [];
    if (servers.some(({ tags }) => replicaTags.every((tag) => tags.includes(tag)))) return [];
    const found = replicaTags.map((tag) => `"${tag}"`).join(', ');
    return [
      `rules[${index}].replicaTags: found ${found}, which no server has${replicaTags.length > 1 ? ' together' : ''}; the servers have ${list}`,
    ];
  });
}

function restsAreOrdered({ routing: { ejection } }: Config): string[] {
  if (ejection.maxMs >= ejection.baseMs) return [];
  return [
    `routing.ejection.maxMs: found ${ejection.maxMs}, expected at least routing.ejection.baseMs (${ejection.baseMs})`,
  ];
}
