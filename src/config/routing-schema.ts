import { durationMs, flag, integer, name, oneOf, section, share } from './leaves.ts';
import { CONSISTENCIES } from './rule-schema.ts';

/** The part of the schema that is about `routing`; docs/balancing.md says how replicas are chosen. */

const live = (description: string) => ({ description, reloadable: true });

const ejection = () =>
  section({
    enabled: flag()
      .default(true)
      .meta(live('Rest a replica whose errors or answering times stand out from the others')),
    baseMs: durationMs(100, 3_600_000)
      .default(10_000)
      .meta(live('Length of the first rest; the second is twice as long, and so on')),
    maxMs: durationMs(100, 86_400_000)
      .default(300_000)
      .meta(live('No rest is longer; a replica that was well for so long starts afresh')),
    windowMs: durationMs(1000, 600_000)
      .default(10_000)
      .meta(live('What happened within this time counts')),
    minErrors: integer(1, 1_000_000)
      .default(5)
      .meta(live('Failures of a replica, not of statements, below which none is rested')),
    errorPercent: integer(1, 100)
      .default(10)
      .meta(live('Share of its reads that must have failed')),
    latencyFactor: integer(2, 1000)
      .default(5)
      .meta(live("By how many times its median time must exceed that of the others'")),
    minLatencyMs: durationMs(1, 600_000)
      .default(20)
      .meta(live('Median time to the first byte below which none is slow')),
    minReads: integer(1, 1_000_000)
      .default(100)
      .meta(live('Reads without which no time is compared')),
  });

/** `routing`. */
export function routing() {
  return section({
    maxLagMs: durationMs(0)
      .default(10_000)
      .meta(live('A replica that lags by more, or by an unknown amount, takes no reads')),
    waitMs: durationMs(0, 60_000)
      .default(50)
      .meta(
        live(
          'How long a read may wait on a replica for what its session must see, before it goes to the primary; replicas that lag by more are not waited for, 0: none is',
        ),
      ),
    fallback: oneOf(['primary', 'error'])
      .default('primary')
      .meta(live('Where reads go when no replica may take them')),
    consistency: oneOf(CONSISTENCIES)
      .default('session')
      .meta(
        live(
          '`eventual`: whatever the replica has; `session`: a session sees its own writes; `global`: everything that was acknowledged to anybody before the read came; `strong`: reads go to the primary',
        ),
      ),
    zone: name('a zone')
      .nullable()
      .prefault(null)
      .meta(
        live(
          'Where this proxy stands: replicas with the same `zone` are read from first, others where those have clearly more to do or none may serve',
        ),
      ),
    rampMs: durationMs(0, 3_600_000)
      .default(10_000)
      .meta(
        live(
          'How long a replica that comes back takes to get from a tenth of its share to all of it',
        ),
      ),
    stalenessSample: share().default(0).meta({
      description:
        'Share of the reads by replicas that are run again on the primary to find out how many were stale (docs/staleness.md); 0: none',
      reloadable: false,
    }),
    stalenessSamplesPerSecond: integer(1, 1000).default(10).meta({
      description: 'No more reads than this are run again in one second; the rest is counted',
      reloadable: false,
    }),
    stalenessSampleTimeoutMs: durationMs(10, 60_000).default(1000).meta({
      description: 'A read that takes the primary longer the second time is killed there',
      reloadable: false,
    }),
    ejection: ejection()
      .prefault({})
      .meta({ description: 'Rest for replicas that answer probes, but not as well as the others' }),
  });
}
