import {
  EMPTY_LAYER,
  type Policy,
  type PolicyLayer,
  type PolicyProblem,
  resolvePolicy,
  type SourcedLayer,
} from '../../routing/policy.ts';
import { type LayerDraft, setPolicyWord } from '../../routing/policy-words.ts';
import { RuleSet, type RulesConfig, type SessionRules } from '../../routing/rules.ts';
import type { PoolMode } from '../../config/rule-schema.ts';
import type { NamedTable, StatementFacts, TableSource } from '../../routing/rules-match.ts';
import type { RuleOutcome } from '../../routing/rules-subset.ts';
import type { ClassifyContext } from '../../sql/classification.ts';
import { tableNames } from '../../sql/table-names.ts';
import { queryAttributes } from '../../wire/packets/query-attributes.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { HintCache } from './hint-cache.ts';

/** What is asked of a statement; a `Classification` has it, and so must a prepared statement. */
export interface PolicyFacts extends StatementFacts {
  /** Byte range of its hint, -1 without one. */
  readonly hintStart: number;
  readonly hintEnd: number;
}

/** Where problems are counted. */
export interface ProblemCounter {
  inc(problem: PolicyProblem): void;
}

/** One assignment of `SET @lagwise_…`; null takes the setting back. */
export interface Assignment {
  /** With or without `lagwise_`, in any case. */
  readonly name: string;
  readonly value: string | null;
}

/** COM_QUERY without attributes has at most two counts in front of its text. */
const PLAIN_TEXT_AT = HEADER_BYTES + 1 + 2;
const ATTRIBUTE_PREFIX = 'lagwise.';
const SETTING_PREFIX = /^@?lagwise_/i;
/** Query attributes of ours in one statement; there are five words. */
const MAX_ATTRIBUTES = 16;

/** What all sessions of a proxy share: the rules, and the hints that were read. */
export class StatementPolicies {
  readonly #rules: RuleSet;
  readonly #hints = new HintCache();
  readonly #problems: ProblemCounter;

  constructor(config: RulesConfig, problems: ProblemCounter) {
    this.#rules = new RuleSet(config);
    this.#problems = problems;
  }

  /** How connections are lent to a client, as far as its login decides. */
  poolModeOf(user: string, clientAddr: string, schema: string | null): PoolMode {
    const rules = this.#rules.forSession(user, clientAddr).inSchema(schema);
    return rules.outcomeOf(NO_FACTS, null, NO_TABLES).policy.poolMode;
  }

  /** The policy of one client; selects the rules that are for it. Call it at each login. */
  forSession(session: {
    readonly user: string;
    /** IP address, without a port. */
    readonly clientAddr: string;
    /** The current schema is read from it at each statement. */
    readonly state: { readonly schema: string | null };
    readonly context: ClassifyContext;
  }): StatementPolicy {
    const { state, context } = session;
    const rules = this.#rules.forSession(session.user, session.clientAddr);
    return new StatementPolicy({
      rules,
      state,
      context,
      hints: this.#hints,
      problems: this.#problems,
    });
  }
}

/**
 * What was said about the statements of one session: its `@lagwise_…` settings, and for each
 * statement its comment, its attributes and the rules. Where nobody says anything it is one object
 * and costs two comparisons.
 */
export class StatementPolicy implements TableSource {
  readonly #rules: SessionRules;
  readonly #state: { readonly schema: string | null };
  readonly #context: ClassifyContext;
  readonly #hints: HintCache;
  readonly #problems: ProblemCounter;
  #settings: PolicyLayer = EMPTY_LAYER;
  /** The policy of the settings on top of an outcome: the same for most statements in a row. */
  #merged: { readonly outcome: RuleOutcome; readonly policy: Policy } | null = null;
  /** The text in which a rule may look for tables; null but during a look. */
  #text: { readonly buf: Buffer; readonly start: number; readonly end: number } | null = null;

  constructor(parts: {
    readonly rules: SessionRules;
    readonly state: { readonly schema: string | null };
    readonly context: ClassifyContext;
    readonly hints: HintCache;
    readonly problems: ProblemCounter;
  }) {
    this.#rules = parts.rules;
    this.#state = parts.state;
    this.#context = parts.context;
    this.#hints = parts.hints;
    this.#problems = parts.problems;
  }

  /** The settings of the session. */
  get settings(): PolicyLayer {
    return this.#settings;
  }

  /**
   * The policy of a COM_QUERY.
   * @param packet header included
   * @param textAt where its text begins, see `queryTextOffset`
   */
  forQuery(packet: Buffer, textAt: number, facts: PolicyFacts): Policy {
    const said = textAt > PLAIN_TEXT_AT ? this.#attributes(packet, textAt) : null;
    return this.#resolve(packet, textAt, facts, said);
  }

  /**
   * The policy of a prepared statement as it is now, since settings, schema and rules are those of
   * the execution.
   * @param packet of its COM_STMT_PREPARE, header included
   */
  forPrepared(packet: Buffer, facts: PolicyFacts): Policy {
    return this.#resolve(packet, HEADER_BYTES + 1, facts, null);
  }

  /** The policy where no text is at hand: other commands, and statements too long to be held. */
  forOther(): Policy {
    return this.#resolve(NO_TEXT, 0, NO_FACTS, null);
  }

  /**
   * Takes a SET of `@lagwise_…` variables: all of it, or nothing if any of it is wrong.
   * @returns what is wrong, for the client, or null
   */
  set(assignments: readonly Assignment[]): string | null {
    const draft: LayerDraft = { ...this.#settings };
    for (const { name, value } of assignments) {
      const problem = setPolicyWord(draft, name.replace(SETTING_PREFIX, ''), value);
      if (problem === null) continue;
      this.#problems.inc('setting');
      return `Cannot set @${name.replace(/^@/, '').slice(0, MAX_NAME_LENGTH)}: ${problem}`;
    }
    this.#settings = isEmpty(draft) ? EMPTY_LAYER : Object.freeze(draft);
    this.#merged = null;
    return null;
  }

  /** What `SELECT @lagwise_…` shows; null as of a user variable that was never set. */
  get(name: string): string | null {
    const { target, consistency, maxLagMs, replicaTags, tag } = this.#settings;
    switch (name.replace(SETTING_PREFIX, '').toLowerCase()) {
      case 'target':
        return target;
      case 'consistency':
        return consistency;
      case 'max_lag_ms':
        return maxLagMs === null ? null : String(maxLagMs);
      case 'replica_tags':
        return replicaTags === null ? null : replicaTags.join('+');
      case 'tag':
        return tag;
      default:
        return null;
    }
  }

  /** Forgets the settings, as COM_RESET_CONNECTION does all user variables. */
  reset(): void {
    this.#settings = EMPTY_LAYER;
    this.#merged = null;
  }

  tables(): readonly NamedTable[] | null {
    if (this.#text === null) return null;
    const { buf, start, end } = this.#text;
    return tableNames(buf, start, end, this.#context);
  }

  #resolve(
    buf: Buffer,
    textAt: number,
    facts: PolicyFacts,
    attributes: PolicyLayer | null,
  ): Policy {
    const hint = facts.hintStart < 0 ? null : this.#hint(buf, facts.hintStart, facts.hintEnd);
    const subset = this.#rules.inSchema(this.#state.schema);
    const settings = this.#settings;
    let outcome = subset.constant;
    if (outcome === null) {
      const tag = hint?.tag ?? attributes?.tag ?? settings.tag;
      this.#text = { buf, start: textAt, end: buf.length };
      outcome = subset.outcomeOf(facts, tag, this);
      this.#text = null;
    }
    if (hint === null && attributes === null) {
      return settings === EMPTY_LAYER ? outcome.policy : this.#withSettings(outcome);
    }
    return this.#merge(outcome, [
      { source: 'hint', layer: hint ?? EMPTY_LAYER },
      { source: 'attribute', layer: attributes ?? EMPTY_LAYER },
    ]);
  }

  #withSettings(outcome: RuleOutcome): Policy {
    if (this.#merged?.outcome !== outcome) {
      this.#merged = { outcome, policy: this.#merge(outcome, []) };
    }
    return this.#merged.policy;
  }

  #merge(outcome: RuleOutcome, stronger: readonly SourcedLayer[]): Policy {
    const settings = { source: 'setting', layer: this.#settings } as const;
    const layers = [...stronger, settings, ...outcome.layers];
    return resolvePolicy(layers, this.#rules.set.defaults, outcome.assumeRead);
  }

  #hint(buf: Buffer, start: number, end: number): PolicyLayer {
    const { layer, problems } = this.#hints.read(buf, start, end);
    if (problems.length > 0) this.#problems.inc('hint');
    return layer;
  }

  #attributes(packet: Buffer, textAt: number): PolicyLayer | null {
    const found = queryAttributes(packet, HEADER_BYTES, textAt, ATTRIBUTE_PREFIX);
    if (found.length === 0) return null;
    const draft: LayerDraft = { ...EMPTY_LAYER };
    for (const { name, value } of found.slice(0, MAX_ATTRIBUTES)) {
      const problem = setPolicyWord(draft, name.slice(ATTRIBUTE_PREFIX.length), value);
      if (problem !== null) this.#problems.inc('attribute');
    }
    return draft;
  }
}

const MAX_NAME_LENGTH = 64;
const NO_TEXT = Buffer.alloc(0);
const NO_TABLES: TableSource = { tables: () => [] };
const NO_FACTS: PolicyFacts = { digestHi: 0, digestLo: 0, hintStart: -1, hintEnd: -1 };

function isEmpty(layer: PolicyLayer): boolean {
  return Object.values(layer).every((value) => value === null);
}
