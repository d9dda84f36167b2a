import { type AddressBlock, isInBlock, parseBlock } from '../config/cidr.ts';
import type { Config } from '../config/schema.ts';
import { parseDigestName } from './digest-id.ts';
import type { PolicyLayer } from './policy.ts';

/** A table that a statement names. */
export interface NamedTable {
  readonly schema: string | null;
  readonly table: string;
}

/** What rules ask about one statement. */
export interface StatementFacts {
  /** Halves of its digest, unsigned. */
  readonly digestHi: number;
  readonly digestLo: number;
}

/** Finds the tables of a statement, if a rule asks; null where they cannot be told for sure. */
export interface TableSource {
  tables(): readonly NamedTable[] | null;
}

/** A rule in the form that it is compared in. */
export interface CompiledRule {
  /** Its place in the list. */
  readonly index: number;
  /** How people call it: its name, or `rules[3]`. */
  readonly title: string;
  readonly users: ReadonlySet<string> | null;
  readonly schemas: ReadonlySet<string> | null;
  readonly blocks: readonly AddressBlock[] | null;
  /** Upper half by lower half of each digest. */
  readonly digests: readonly { readonly hi: number; readonly lo: number }[] | null;
  /** In lower case. */
  readonly prefixes: readonly string[] | null;
  readonly tags: ReadonlySet<string> | null;
  /** A prefix has a schema in it, which tables without one take from the session. */
  readonly needsSchema: boolean;
  readonly layer: PolicyLayer;
  readonly assumeRead: boolean;
}

/** Whether a rule holds; `maybe` where the statement's tables cannot be told. */
export type RuleMatch = 'yes' | 'no' | 'maybe';

/** @param index place in the list, for messages */
export function compileRule(rule: Config['rules'][number], index: number): CompiledRule {
  const { match, name, target, consistency, maxLagMs, replicaTags, poolMode } = rule;
  const prefixes = match.tablePrefix.map((prefix) => prefix.toLowerCase());
  return {
    index,
    title: name ?? `rules[${index}]`,
    users: setOf(match.user),
    schemas: setOf(match.schema),
    blocks: listOf(match.clientAddr, parseBlock),
    digests: listOf(match.digest, parseDigestName),
    prefixes: prefixes.length === 0 ? null : prefixes,
    tags: setOf(match.tag),
    needsSchema: prefixes.some((prefix) => prefix.includes('.')),
    layer: Object.freeze({ target, consistency, maxLagMs, replicaTags, poolMode, tag: null }),
    assumeRead: rule.assumeRead,
  };
}

/** @param address 16 bytes, null where the client has none */
export function isForClient(
  { users, blocks }: CompiledRule,
  user: string,
  address: Uint8Array | null,
): boolean {
  if (users !== null && !users.has(user)) return false;
  return blocks === null || (address !== null && blocks.some((block) => isInBlock(address, block)));
}

/** Whether the rule may hold while the session is in this schema. */
export function isForSchema({ schemas }: CompiledRule, schema: string | null): boolean {
  return schemas === null || (schema !== null && schemas.has(schema));
}

/** Whether the rule, which holds for client and schema, holds for the statement. */
export function matchStatement(
  { digests, tags, prefixes }: CompiledRule,
  facts: StatementFacts,
  tag: string | null,
  tables: () => readonly NamedTable[] | null,
  schema: string | null,
): RuleMatch {
  if (tags !== null && (tag === null || !tags.has(tag))) return 'no';
  const { digestHi, digestLo } = facts;
  if (digests !== null && !digests.some(({ hi, lo }) => hi === digestHi && lo === digestLo)) {
    return 'no';
  }
  if (prefixes === null) return 'yes';
  const named = tables();
  if (named === null) return 'maybe';
  return named.some((table) => prefixes.some((prefix) => begins(table, prefix, schema)))
    ? 'yes'
    : 'no';
}

function begins(named: NamedTable, prefix: string, schema: string | null): boolean {
  const table = named.table.toLowerCase();
  if (!prefix.includes('.')) return table.startsWith(prefix);
  const owner = named.schema ?? schema;
  return owner !== null && `${owner.toLowerCase()}.${table}`.startsWith(prefix);
}

const setOf = (words: readonly string[]): ReadonlySet<string> | null =>
  words.length === 0 ? null : new Set(words);

/** The configuration was checked: none of them fails to parse. */
function listOf<Item>(
  words: readonly string[],
  parse: (word: string) => Item | null,
): readonly Item[] | null {
  return words.length === 0 ? null : words.map(parse).filter((item) => item !== null);
}
