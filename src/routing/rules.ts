import { parseAddress } from '../config/cidr.ts';
import type { Config } from '../config/schema.ts';
import { type PolicyDefaults, resolvePolicy, type Policy } from './policy.ts';
import { type CompiledRule, compileRule, isForClient, isForSchema } from './rules-match.ts';
import { RuleSubset } from './rules-subset.ts';

/** What of the configuration rules are made of. */
export type RulesConfig = Pick<Config, 'rules' | 'users' | 'routing'> & {
  readonly pool: Pick<Config['pool'], 'mode'>;
};

/**
 * Different selections of rules that are kept to be shared. Which rules hold for a session depends
 * on its account, address and schema; in practice a handful of selections exist. What goes beyond
 * is made anew for its session: slower, never wrong.
 */
const MAX_SUBSETS = 256;
/** Statements that one selection remembers: 256 × 512 × about 150 bytes are 20 MB at the very most. */
const REMEMBERED = { shared: 512, ownOfSession: 16 } as const;

/** The rules of a configuration, compiled once. Sessions share what they have in common. */
export class RuleSet {
  readonly defaults: PolicyDefaults;
  readonly #rules: readonly CompiledRule[];
  readonly #modes: ReadonlyMap<string, PolicyDefaults['poolMode']>;
  readonly #subsets = new Map<string, RuleSubset>();
  readonly #plain: Policy;

  constructor(config: RulesConfig) {
    this.defaults = Object.freeze({
      consistency: config.routing.consistency,
      maxLagMs: config.routing.maxLagMs,
      poolMode: config.pool.mode,
    });
    this.#plain = resolvePolicy([], this.defaults);
    this.#rules = config.rules.map((rule, index) => compileRule(rule, index));
    this.#modes = new Map(
      typeof config.users === 'string'
        ? []
        : config.users.flatMap(({ user, poolMode }) =>
            poolMode === null ? [] : [[user, poolMode]],
          ),
    );
  }

  /**
   * The rules for one client, selected once at its login.
   * @param clientAddr IP address, without a port
   */
  forSession(user: string, clientAddr: string): SessionRules {
    const address = parseAddress(clientAddr);
    const rules = this.#rules.filter((rule) => isForClient(rule, user, address));
    return new SessionRules(this, rules, this.#modes.get(user) ?? null);
  }

  /** The shared selection for these rules, account setting and schema. */
  subset(
    rules: readonly CompiledRule[],
    userMode: PolicyDefaults['poolMode'] | null,
    schema: string | null,
  ): RuleSubset {
    const own = rules.filter((rule) => isForSchema(rule, schema));
    // Only prefixes with a schema in them make two schemas differ from here on.
    const schemaPart = own.some((rule) => rule.needsSchema) ? JSON.stringify(schema) : '';
    const key = `${userMode ?? ''} ${own.map(({ index }) => index).join(',')} ${schemaPart}`;
    let subset = this.#subsets.get(key);
    if (subset === undefined) {
      const isShared = this.#subsets.size < MAX_SUBSETS;
      subset = new RuleSubset({
        rules: own,
        schema,
        userMode,
        defaults: this.defaults,
        plain: this.#plain,
        maxRemembered: isShared ? REMEMBERED.shared : REMEMBERED.ownOfSession,
      });
      if (isShared) this.#subsets.set(key, subset);
    }
    return subset;
  }
}

/** The rules that hold for one client, whatever its schema and statements. */
export class SessionRules {
  readonly set: RuleSet;
  readonly #rules: readonly CompiledRule[];
  readonly #userMode: PolicyDefaults['poolMode'] | null;
  #schema: string | null = null;
  #subset: RuleSubset;

  constructor(
    set: RuleSet,
    rules: readonly CompiledRule[],
    userMode: PolicyDefaults['poolMode'] | null,
  ) {
    this.set = set;
    this.#rules = rules;
    this.#userMode = userMode;
    this.#subset = set.subset(rules, userMode, null);
  }

  /** The rules that hold while the session is in this schema. A comparison, unless it changed. */
  inSchema(schema: string | null): RuleSubset {
    if (schema !== this.#schema) {
      this.#schema = schema;
      if (this.#rules.length > 0) {
        this.#subset = this.set.subset(this.#rules, this.#userMode, schema);
      }
    }
    return this.#subset;
  }
}
