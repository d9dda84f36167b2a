import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CrowdResult } from '../support/crowd.ts';
import { within } from '../support/until.ts';
import type { ClientsAnswer, ClientsJob, ClientsOrder } from './crowd-clients.ts';

const PROGRAM = fileURLToPath(new URL('crowd-clients.ts', import.meta.url));
/** On top of the time that an order takes by its nature. */
const ANSWER_MS = 120_000;

/** A process of its own with a part of the crowd. */
export class ClientsProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  constructor(job: ClientsJob) {
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(job)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#ended = once(this.#child, 'close');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Logs its clients in. */
  async connect(): Promise<void> {
    await this.#order({ t: 'connect' }, ANSWER_MS);
  }

  /** Keeps so many of its clients busy for `ms`. */
  async run(active: number, ms: number): Promise<CrowdResult> {
    const answer = await this.#order({ t: 'run', active, ms }, ms + ANSWER_MS);
    if (answer.t !== 'result') throw new Error(`The clients answered ${answer.t}`);
    return answer.result;
  }

  /** Its clients leave; the process stays. */
  async close(): Promise<void> {
    await this.#order({ t: 'close' }, ANSWER_MS);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#ended;
  }

  async #order(order: ClientsOrder, deadlineMs: number): Promise<ClientsAnswer> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const next = await within(`the clients: ${order.t}`, deadlineMs, this.#lines.next());
    if (next.done === true) throw new Error('The process of the clients has ended');
    const answer = JSON.parse(next.value) as ClientsAnswer;
    if (answer.t === 'failed') throw new Error(`The clients failed: ${answer.why}`);
    return answer;
  }
}
