import { type Candidacy, explainReplicas } from '../routing/explain-replicas.ts';
import { type Policy, type PolicyLayer, resolvePolicy } from '../routing/policy.ts';
import { RuleSet, type RulesConfig } from '../routing/rules.ts';
import { readHint } from '../session/statement/hint-cache.ts';
import type { ReasonCode } from '../sql/classification.ts';
import { Classifier } from '../sql/classify.ts';
import { digestText } from '../sql/digest.ts';
import { tableNames } from '../sql/table-names.ts';
import type { AdminAnswer } from './admin-client.ts';
import { effectNames, effectWords, reasonSentence } from './explain-words.ts';
import { type Destination, judgeStatement, type Verdict } from './judge-statement.ts';
import type { StatementInput } from './statement-input.ts';

/** The client that would send the statement, for the rules. */
export interface ExplainedClient {
  readonly user: string;
  readonly clientAddr: string;
  readonly schema: string | null;
}

/** All that `explain` says; the fields are those of `--json`. */
export interface Explanation extends Verdict {
  /** The reason in a sentence. */
  readonly why: string;
  /** Why the statement has its class, which is not why it goes where it goes if others decide. */
  readonly classReason: ReasonCode;
  readonly classWhy: string;
  readonly digestText: string;
  readonly effects: readonly string[];
  readonly effectsInWords: readonly string[];
  /** What its comment says, null where it has none. */
  readonly hint: {
    readonly says: Partial<PolicyLayer>;
    readonly problems: readonly string[];
  } | null;
  /** Titles of the rules that give something. */
  readonly rules: readonly string[];
  readonly policy: Pick<
    Policy,
    'target' | 'consistency' | 'maxLagMs' | 'replicaTags' | 'poolMode' | 'tag' | 'sources'
  >;
  /** Null where no proxy was reached; empty where the statement goes to none in particular. */
  readonly servers: readonly Candidacy[] | null;
  /** What else a person should know. */
  readonly notes: readonly string[];
}

/** Explains one statement: pure but for what is passed in. */
export function explainStatement(
  input: StatementInput,
  client: ExplainedClient,
  config: RulesConfig,
  admin: AdminAnswer,
): Explanation {
  const { bytes, length, context } = input;
  const found = new Classifier().classify(bytes, 0, length, context);
  const hint = found.hintStart < 0 ? null : readHint(bytes, found.hintStart, found.hintEnd);
  const rules = new RuleSet(config);
  const outcome = rules
    .forSession(client.user, client.clientAddr)
    .inSchema(client.schema)
    .outcomeOf(found, hint?.layer.tag ?? null, {
      tables: () => tableNames(bytes, 0, length, context),
    });
  const policy =
    hint === null
      ? outcome.policy
      : resolvePolicy(
          [{ source: 'hint', layer: hint.layer }, ...outcome.layers],
          rules.defaults,
          outcome.assumeRead,
        );
  const judged = judgeStatement(input, found, policy);
  const verdict = asLearned(judged, admin);
  return {
    ...verdict,
    why: reasonSentence(verdict.reason),
    classReason: found.reason,
    classWhy: reasonSentence(found.reason),
    digestText: digestText(bytes, 0, length, context),
    effects: effectNames(found.effects),
    effectsInWords: effectWords(found.effects),
    hint: hint === null ? null : { says: said(hint.layer), problems: hint.problems },
    rules: outcome.rules,
    policy: {
      target: policy.target,
      consistency: policy.consistency,
      maxLagMs: policy.maxLagMs,
      replicaTags: policy.replicaTags,
      poolMode: policy.poolMode,
      tag: policy.tag,
      sources: policy.sources,
    },
    servers: admin.t === 'ok' ? candidates(verdict.target, policy, admin) : null,
    notes: notesOf(verdict, policy, config, admin),
  };
}

/** A digest that a replica has refused goes to the primary, whatever it looks like. */
function asLearned(verdict: Verdict, admin: AdminAnswer): Verdict {
  if (admin.t !== 'ok' || verdict.target !== 'replica') return verdict;
  if (admin.learned.get(verdict.digest) !== 'read-only') return verdict;
  return { ...verdict, target: 'primary', reason: 'learned' };
}

function said(layer: PolicyLayer): Partial<PolicyLayer> {
  return Object.fromEntries(Object.entries(layer).filter(([, value]) => value !== null));
}

type Reached = Extract<AdminAnswer, { readonly t: 'ok' }>;

function replicasFor(
  { maxLagMs, replicaTags }: Policy,
  { snapshot, zone, resting, ramps }: Reached,
): readonly Candidacy[] {
  const demand = { maxLagMs, requirements: [], tags: replicaTags, zone, resting };
  return explainReplicas(snapshot, demand, (id) => ({ ramp: ramps.get(id) ?? 1 }));
}

function candidates(target: Destination, policy: Policy, admin: Reached): readonly Candidacy[] {
  switch (target) {
    case 'replica':
      return replicasFor(policy, admin);
    case 'primary':
      return admin.snapshot.servers.map(({ id, role, ineligible }) =>
        role === 'primary'
          ? { id, eligible: true, why: 'It is the primary' }
          : { id, eligible: false, why: ineligible ?? `It is ${role}, not the primary` },
      );
    case 'same':
    case 'local':
    case 'any':
      return [];
  }
}

function notesOf(
  verdict: Verdict,
  policy: Policy,
  { routing }: RulesConfig,
  admin: AdminAnswer,
): readonly string[] {
  const notes: string[] = [];
  const isRead = verdict.target === 'replica';
  if (isRead && policy.consistency === 'global') {
    notes.push('Only replicas count that have all that was acknowledged to anybody before');
  }
  if (isRead && policy.consistency === 'session') {
    notes.push('After a write of the same session only replicas that have caught up with it count');
  }
  if (admin.t === 'ok' && isRead && !replicasFor(policy, admin).some((each) => each.eligible)) {
    notes.push(
      routing.fallback === 'primary'
        ? 'No replica may take it now: it goes to the primary (routing.fallback)'
        : 'No replica may take it now: it fails (routing.fallback is "error")',
    );
  }
  if (admin.t === 'ok' && verdict.target === 'primary' && admin.snapshot.primary === null) {
    const why = admin.snapshot.noPrimary ?? 'none is known';
    notes.push(`There is no primary now (${why}): it waits for one (failover.holdMs)`);
  }
  if (verdict.reason === 'unknown-function' && admin.t === 'failed') {
    notes.push('A running proxy that has read the definition of a stored function judges by that');
  }
  return notes;
}
