import type { ServerId } from '../lib/ids.ts';
import type { ServerView, Snapshot } from '../topology/snapshot.ts';
import { isForTags, type ReplicaDemand } from './replica-demand.ts';
import { NO_FIGURES, type ReplicaFigures } from './replica-figures.ts';
import { isNear } from './replica-zone.ts';
import { shows } from './visibility.ts';

/** A server and whether it may take the read; `why` is for people. */
export interface Candidacy {
  readonly id: ServerId;
  readonly eligible: boolean;
  readonly why: string;
}

/**
 * Every server with the reason why it may or may not take the read, for errors and `explain`.
 * @param figuresOf what is known of each, to tell what its share is
 */
export function explainReplicas(
  snapshot: Snapshot,
  demand: ReplicaDemand,
  figuresOf: (id: ServerId) => Pick<ReplicaFigures, 'ramp'> = () => NO_FIGURES,
): readonly Candidacy[] {
  return snapshot.servers.map((server) => {
    const why = whyNot(server, demand, snapshot);
    return {
      id: server.id,
      eligible: why === null,
      why: why ?? describe(server, demand, figuresOf(server.id)),
    };
  });
}

function whyNot(server: ServerView, demand: ReplicaDemand, snapshot: Snapshot): string | null {
  if (server.ineligible !== null) return server.ineligible;
  if (server.role !== 'replica') return `It is ${server.role}, not a replica`;
  if (server.weight <= 0) return 'Its weight is 0';
  if (!isForTags(server, demand.tags)) return whyNotForTags(server, demand.tags ?? []);
  if (server.lag.t === 'unknown') return `Its lag is unknown: ${server.lag.why}`;
  if (server.lag.lagMs > demand.maxLagMs) {
    return `It lags ${server.lag.lagMs} ms, the limit is ${demand.maxLagMs} ms`;
  }
  if (!shows(server, demand.requirements, snapshot)) {
    const why = server.filters === null ? '' : `: ${server.filters}`;
    return `It is not known to have what this session has written or read${why}`;
  }
  const rest = demand.resting?.get(server.id);
  if (rest !== undefined) return `It rests: ${rest}`;
  if (demand.exclude?.has(server.id) === true) return 'It was tried already';
  return null;
}

function whyNotForTags(server: ServerView, asked: readonly string[]): string {
  if (asked.length === 0) {
    return `It is reserved for reads that ask for ${listOf(server.tags)} (replica_tags)`;
  }
  const missing = asked.filter((tag) => !server.tags.includes(tag));
  return `It has not the tag ${listOf(missing)} that the read asks for`;
}

function describe(
  server: ServerView,
  demand: ReplicaDemand,
  { ramp }: Pick<ReplicaFigures, 'ramp'>,
): string {
  const lag = server.lag.t === 'known' ? `It lags ${server.lag.lagMs} ms` : 'It may take reads';
  const back = ramp < 1 ? `, comes back with ${Math.round(ramp * 100)} % of its share` : '';
  return `${lag}${back}${placeOf(server, demand)}`;
}

function placeOf(server: ServerView, demand: ReplicaDemand): string {
  if (demand.zone === null || demand.zone === undefined) return '';
  if (isNear(server, demand)) return `, in the zone of the proxy`;
  const place = server.zone === null ? 'in no zone' : `in zone ${server.zone}`;
  return `, ${place}: after those in ${demand.zone}`;
}

const listOf = (tags: readonly string[]): string => tags.map((tag) => `"${tag}"`).join(' or ');
