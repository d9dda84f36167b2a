import { CONSISTENCIES, type Consistency } from '../config/rule-schema.ts';
import {
  EMPTY_LAYER,
  type Policy,
  type PolicyDefaults,
  type PolicyLayer,
  resolvePolicy,
  type SourcedLayer,
} from './policy.ts';
import type { LayerDraft } from './policy-words.ts';
import {
  type CompiledRule,
  matchStatement,
  type NamedTable,
  type StatementFacts,
  type TableSource,
} from './rules-match.ts';

/** What the rules say of a statement. Frozen and shared. */
export interface RuleOutcome {
  /** What the rules and the account's own settings say, strongest first. */
  readonly layers: readonly SourcedLayer[];
  readonly assumeRead: boolean;
  /** The policy where nobody else says anything. */
  readonly policy: Policy;
  /** Which rules gave something, for people. */
  readonly rules: readonly string[];
}

/** 2^21: upper half and the top of the lower half fill the 53 bits of a number. */
const HALF_SHIFT = 2_097_152;
const TAG_MIX = 0x9e37_79b1;

interface Remembered {
  readonly hi: number;
  readonly lo: number;
  readonly tagClass: number;
  readonly outcome: RuleOutcome;
}

/** The rules that hold for a client in a schema, and what they said of the statements so far. */
export class RuleSubset {
  /** The outcome of all statements, where none of the rules looks at statements; else null. */
  readonly constant: RuleOutcome | null;
  readonly #rules: readonly CompiledRule[];
  readonly #schema: string | null;
  readonly #userLayer: SourcedLayer | null;
  readonly #defaults: PolicyDefaults;
  readonly #plain: Policy;
  readonly #maxRemembered: number;
  /** Tags of rules, numbered from 1; all others are alike. */
  readonly #tagClasses: ReadonlyMap<string, number>;
  readonly #remembered = new Map<number, Remembered>();

  constructor(options: {
    readonly rules: readonly CompiledRule[];
    readonly schema: string | null;
    readonly userMode: PolicyDefaults['poolMode'] | null;
    readonly defaults: PolicyDefaults;
    /** The policy of nothing but defaults. */
    readonly plain: Policy;
    /** Statements whose outcome is remembered; the oldest goes first. */
    readonly maxRemembered: number;
  }) {
    const { rules, userMode } = options;
    this.#rules = rules;
    this.#schema = options.schema;
    this.#defaults = options.defaults;
    this.#plain = options.plain;
    this.#maxRemembered = options.maxRemembered;
    this.#userLayer =
      userMode === null
        ? null
        : { source: 'user', layer: Object.freeze({ ...EMPTY_LAYER, poolMode: userMode }) };
    const tags = new Set(rules.flatMap((rule) => [...(rule.tags ?? [])]));
    this.#tagClasses = new Map([...tags].map((tag, index) => [tag, index + 1]));
    const looks = rules.some((rule) => rule.digests ?? rule.prefixes ?? rule.tags);
    this.constant = looks ? null : this.#judge(NO_FACTS, null, noTables);
  }

  /** What the rules say of a statement. Allocates only for one that is not remembered. */
  outcomeOf(facts: StatementFacts, tag: string | null, source: TableSource): RuleOutcome {
    if (this.constant !== null) return this.constant;
    const { digestHi: hi, digestLo: lo } = facts;
    const tagClass = tag === null ? 0 : (this.#tagClasses.get(tag) ?? 0);
    const key = ((hi ^ Math.imul(tagClass, TAG_MIX)) >>> 0) * HALF_SHIFT + (lo >>> 11);
    const found = this.#remembered.get(key);
    if (found?.hi === hi && found.lo === lo && found.tagClass === tagClass) return found.outcome;
    const outcome = this.#judge(facts, tag, () => source.tables());
    this.#remember(key, { hi, lo, tagClass, outcome });
    return outcome;
  }

  #remember(key: number, entry: Remembered): void {
    if (this.#remembered.size >= this.#maxRemembered) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.set(key, entry);
  }

  #judge(
    facts: StatementFacts,
    tag: string | null,
    tables: () => readonly NamedTable[] | null,
  ): RuleOutcome {
    const draft: LayerDraft = { ...EMPTY_LAYER };
    const rules: string[] = [];
    let assumeRead = false;
    let floor: Consistency | null = null;
    for (const rule of this.#rules) {
      const match = matchStatement(rule, facts, tag, tables, this.#schema);
      if (match === 'no') continue;
      let gave = fill(draft, match === 'yes' ? rule.layer : carefulPart(rule.layer));
      if (match === 'maybe' && draft.consistency === null && floor === null) {
        floor = rule.layer.consistency;
        gave ||= floor !== null;
      }
      if (match === 'yes' && rule.assumeRead && !assumeRead) {
        assumeRead = true;
        gave = true;
      }
      if (gave) rules.push(rule.title);
    }
    if (floor !== null && isStronger(floor, draft.consistency ?? this.#defaults.consistency)) {
      draft.consistency = floor;
    }
    const layers: SourcedLayer[] = [];
    if (rules.length > 0) layers.push({ source: 'rule', layer: Object.freeze(draft) });
    if (this.#userLayer !== null) layers.push(this.#userLayer);
    const policy =
      layers.length === 0 ? this.#plain : resolvePolicy(layers, this.#defaults, assumeRead);
    return Object.freeze({ layers: Object.freeze(layers), assumeRead, policy, rules });
  }
}

const NO_FACTS: StatementFacts = { digestHi: 0, digestLo: 0 };
const noTables = (): null => null;

/** First match wins, for each field by itself. Says whether the layer gave anything. */
function fill(draft: LayerDraft, layer: PolicyLayer): boolean {
  const before = { ...draft };
  draft.target ??= layer.target;
  draft.consistency ??= layer.consistency;
  draft.maxLagMs ??= layer.maxLagMs;
  draft.replicaTags ??= layer.replicaTags;
  draft.poolMode ??= layer.poolMode;
  return (
    before.target !== draft.target ||
    before.consistency !== draft.consistency ||
    before.maxLagMs !== draft.maxLagMs ||
    before.replicaTags !== draft.replicaTags ||
    before.poolMode !== draft.poolMode
  );
}

/**
 * Of a rule about tables, where the statement's tables cannot be told: what sends reads to the
 * primary holds, since the statement may be one that must not be stale; the rest does not. Its
 * consistency is a floor to what others give.
 */
function carefulPart(layer: PolicyLayer): PolicyLayer {
  return {
    ...EMPTY_LAYER,
    target: layer.target === 'primary' ? 'primary' : null,
  };
}

function isStronger(one: Consistency, other: Consistency): boolean {
  return CONSISTENCIES.indexOf(one) > CONSISTENCIES.indexOf(other);
}
