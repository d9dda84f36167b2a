import type { Consistency, PoolMode } from '../config/rule-schema.ts';
import type { Classification } from '../sql/classification.ts';
import { EFFECT } from '../sql/classification.ts';

/**
 * What may be said about a statement besides its text, and by whom. Pure: layers in, one frozen
 * `Policy` out. See docs/rules.md.
 */

/** Who said it, strongest first. */
export const POLICY_SOURCES = ['hint', 'attribute', 'setting', 'rule', 'user', 'config'] as const;
export type PolicySource = (typeof POLICY_SOURCES)[number];

/** Where something was said that nobody understands; the rest of it counts all the same. */
export const POLICY_PROBLEMS = ['hint', 'attribute', 'setting'] as const;
export type PolicyProblem = (typeof POLICY_PROBLEMS)[number];

/** The server group that was asked for. */
export type PolicyTarget = 'primary' | 'replica';

/** What can be said. */
export const POLICY_FIELDS = [
  'target',
  'consistency',
  'maxLagMs',
  'replicaTags',
  'poolMode',
  'tag',
] as const;
export type PolicyField = (typeof POLICY_FIELDS)[number];

/** What one source says; null where it says nothing. */
export interface PolicyLayer {
  readonly target: PolicyTarget | null;
  readonly consistency: Consistency | null;
  readonly maxLagMs: number | null;
  /** Tags of servers. */
  readonly replicaTags: readonly string[] | null;
  readonly poolMode: PoolMode | null;
  readonly tag: string | null;
}

/** A layer and who says it. */
export interface SourcedLayer {
  readonly source: PolicySource;
  readonly layer: PolicyLayer;
}

/** What holds where nobody says anything. */
export interface PolicyDefaults {
  readonly consistency: Consistency;
  readonly maxLagMs: number;
  readonly poolMode: PoolMode;
}

/** Why a read may not leave the primary; words of a routing reason. */
export type ForcedBy = 'hint' | 'attribute' | 'setting' | 'rule' | 'strong';

/** The settings in force for one statement. Frozen and shared: compare by identity, keep at will. */
export interface Policy {
  readonly target: PolicyTarget | null;
  /** `strong` never comes with a target of `replica`: whichever was said by the stronger won. */
  readonly consistency: Consistency;
  /** A replica that lags by more takes no read. */
  readonly maxLagMs: number;
  /** A replica without all of these tags takes no read. */
  readonly replicaTags: readonly string[];
  readonly poolMode: PoolMode;
  readonly tag: string | null;
  /** The configuration vouches for the functions of this statement: see `isAssumedRead`. */
  readonly assumeRead: boolean;
  /** Reads go to the primary, and why; null: to a replica. */
  readonly forcedBy: ForcedBy | null;
  /** The statement itself asked for a replica, which only a read can have. */
  readonly asksReplica: boolean;
  readonly sources: Readonly<Record<PolicyField, PolicySource>>;
}

/** A layer that says nothing. */
export const EMPTY_LAYER: PolicyLayer = Object.freeze({
  target: null,
  consistency: null,
  maxLagMs: null,
  replicaTags: null,
  poolMode: null,
  tag: null,
});

/**
 * Merges what was said: each field by its strongest source.
 * @param layers strongest first
 * @param assumeRead a rule vouches for the statement
 */
export function resolvePolicy(
  layers: readonly SourcedLayer[],
  defaults: PolicyDefaults,
  assumeRead = false,
): Policy {
  const target = pick(layers, 'target', null);
  const consistency = pick(layers, 'consistency', defaults.consistency);
  const maxLagMs = pick(layers, 'maxLagMs', defaults.maxLagMs);
  const replicaTags = pick(layers, 'replicaTags', NO_TAGS);
  const poolMode = pick(layers, 'poolMode', defaults.poolMode);
  const tag = pick(layers, 'tag', null);
  const overrulesStrong =
    target.value === 'replica' &&
    consistency.value === 'strong' &&
    strength(target.source) < strength(consistency.source);
  // The most that a replica can give: all that was acknowledged before.
  const given = overrulesStrong
    ? ({ value: 'global', source: target.source } as const)
    : consistency;
  const isReplica = target.value === 'replica' && given.value !== 'strong';
  return Object.freeze({
    target: target.value === 'replica' && !isReplica ? null : target.value,
    consistency: given.value,
    maxLagMs: maxLagMs.value,
    replicaTags: replicaTags.value,
    poolMode: poolMode.value,
    tag: tag.value,
    assumeRead,
    forcedBy: forcedBy(target, given.value),
    asksReplica: isReplica && (target.source === 'hint' || target.source === 'attribute'),
    sources: Object.freeze({
      target: target.source,
      consistency: given.source,
      maxLagMs: maxLagMs.source,
      replicaTags: replicaTags.source,
      poolMode: poolMode.source,
      tag: tag.source,
    }),
  });
}

const NO_TAGS: readonly string[] = Object.freeze([]);

/** Session facts that decide nothing about effects of a call. */
const HARMLESS = EFFECT.OPAQUE | EFFECT.USES_USER_VARIABLE;

/**
 * Whether a statement is to be taken for a read because a rule vouches for it: one that is unknown
 * for its functions alone. A known write, a SET, several statements or what could not be lexed
 * never are, whatever a rule says. Its effect OPAQUE is to be taken off with it.
 */
export function isAssumedRead(
  { cls, reason, effects }: Pick<Classification, 'cls' | 'reason' | 'effects'>,
  policy: Policy,
): boolean {
  return (
    policy.assumeRead &&
    cls === 'unknown' &&
    reason === 'unknown-function' &&
    (effects & ~HARMLESS) === 0
  );
}

interface Said<Value> {
  readonly value: Value;
  readonly source: PolicySource;
}

function pick<Field extends PolicyField, Fallback>(
  layers: readonly SourcedLayer[],
  field: Field,
  fallback: Fallback,
): Said<NonNullable<PolicyLayer[Field]> | Fallback> {
  for (const { source, layer } of layers) {
    const value = layer[field];
    if (value !== null) return { value, source };
  }
  return { value: fallback, source: 'config' };
}

function forcedBy(target: Said<PolicyTarget | null>, consistency: Consistency): ForcedBy | null {
  if (target.value === 'primary') return forceOf(target.source);
  return consistency === 'strong' ? 'strong' : null;
}

/** Neither accounts nor the configuration's defaults name a target. */
function forceOf(source: PolicySource): ForcedBy {
  return source === 'user' || source === 'config' ? 'rule' : source;
}

const strength = (source: PolicySource): number => POLICY_SOURCES.indexOf(source);
