import type { Registry } from 'prom-client';
import { END_REASONS, type EndReason, LOGIN_FAILURES, type LoginFailure } from './labels.ts';
import { ClosedCounter, Traffic } from './plain-counters.ts';
import { exposeCounter, exposeGauge, type Sample } from './prom-bridge.ts';

/** The samples of a closed counter, its words as one label. */
export function* samplesOf<Word extends string>(
  counter: ClosedCounter<Word>,
  label: string,
): Generator<Sample> {
  for (const word of counter.words) yield { labels: { [label]: word }, value: counter.get(word) };
}

/** Connections and logins of clients. */
export class ClientMetrics {
  readonly #endings = new ClosedCounter<EndReason>(END_REASONS);
  readonly #loginFailures = new ClosedCounter<LoginFailure>(LOGIN_FAILURES);
  #accepted = 0;

  constructor(registry: Registry) {
    exposeGauge(
      { registry, name: 'lagwise_client_connections', help: 'Client connections open now' },
      () => [{ value: this.open }],
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_client_connections_accepted_total',
        help: 'Client connections accepted',
      },
      () => [{ value: this.#accepted }],
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_client_connections_closed_total',
        help: 'Client connections ended, by reason',
        labels: ['reason'],
      },
      () => samplesOf(this.#endings, 'reason'),
    );
    exposeCounter(
      {
        registry,
        name: 'lagwise_client_logins_failed_total',
        help: 'Logins that failed, by reason; "blocked" are those refused by the rate limit',
        labels: ['reason'],
      },
      () => samplesOf(this.#loginFailures, 'reason'),
    );
  }

  /** A connection was accepted; `closed` must be called once for it. */
  accepted(): void {
    this.#accepted += 1;
  }

  closed(reason: EndReason): void {
    this.#endings.inc(reason);
  }

  loginFailed(reason: LoginFailure): void {
    this.#loginFailures.inc(reason);
  }

  /** Client connections open now. */
  get open(): number {
    return this.#accepted - this.#endings.total;
  }
}

/** Exposes the byte counts; their fields are added to directly. */
export function createTraffic(registry: Registry): Traffic {
  const traffic = new Traffic();
  exposeCounter(
    {
      registry,
      name: 'lagwise_network_bytes_total',
      help: 'Bytes on the wire, towards clients or servers, in or out of the proxy',
      labels: ['side', 'direction'],
    },
    () => [
      { labels: { side: 'client', direction: 'in' }, value: traffic.clientInBytes },
      { labels: { side: 'client', direction: 'out' }, value: traffic.clientOutBytes },
      { labels: { side: 'server', direction: 'in' }, value: traffic.serverInBytes },
      { labels: { side: 'server', direction: 'out' }, value: traffic.serverOutBytes },
    ],
  );
  return traffic;
}
