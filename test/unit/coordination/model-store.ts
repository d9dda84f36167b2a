import { LagwiseError } from '../../../src/lib/errors.ts';
import type {
  MemberWord,
  Publication,
  Question,
  QuestionReply,
  Store,
  StoreConnection,
  Tick,
  TickReply,
} from '../../../src/coordination/store.ts';

const COMMAND_TIMEOUT_MS = 300;
const MAX_LATE_MS = 2000;

interface Contents {
  id: string;
  readonly instances: Map<string, string>;
  readonly challenges: Map<string, string>;
  readonly wants: Set<string>;
  readonly joins: Map<string, string>;
  readonly answers: Map<string, string>;
  published: number;
  entries: string[];
  isNameDuplicate: boolean;
}

const emptyContents = (id: string): Contents => ({
  id,
  instances: new Map(),
  challenges: new Map(),
  wants: new Set(),
  joins: new Map(),
  answers: new Map(),
  published: 0,
  entries: [],
  isNameDuplicate: false,
});

/** The way of one proxy to the place. */
export interface Way {
  /** Nothing comes through, in either direction. */
  isCut: boolean;
}

/**
 * The shared place as a model, with what can go wrong on the way: answers that are lost, commands
 * that are carried out long after their sender gave up, a place that stops or forgets everything.
 * Works on (fake) timers; `random` gives [0, 1).
 */
export class ModelStore {
  readonly #random: () => number;
  readonly #members: readonly string[];
  readonly #maxEntries: number;
  #contents: Contents | null = null;
  #run = 1;
  #nonce = 0;
  /** Before this moment nothing is carried out. */
  #pausedUntilMs = 0;

  constructor(options: {
    readonly members: readonly string[];
    readonly random: () => number;
    readonly maxEntries?: number;
  }) {
    this.#members = options.members;
    this.#random = options.random;
    this.#maxEntries = options.maxEntries ?? 4096;
  }

  get size(): number {
    return this.#contents?.entries.length ?? 0;
  }

  /** It ends and starts again with nothing. */
  restart(): void {
    this.#run += 1;
    this.#contents = null;
  }

  pause(ms: number): void {
    this.#pausedUntilMs = Date.now() + ms;
  }

  forgetContents(): void {
    this.#contents = null;
  }

  forgetEntries(): void {
    if (this.#contents !== null) this.#contents.entries = [];
  }

  /** The place as one proxy reaches it. */
  by(name: string, way: Way): Store {
    return {
      open: async () => {
        const run = this.#run;
        if (way.isCut) throw new LagwiseError('backend-connect', 'Cut off');
        const connection = new Line(this.#random, way, () => [
          this.#run === run,
          this.#pausedUntilMs,
        ]);
        const members = this.#members;
        const opened: StoreConnection = {
          runId: String(run),
          tick: (tick) => connection.carry(() => this.#tick(run, tick, members)),
          publish: (publication) => connection.carry(() => this.#publish(publication)),
          newest: (question) => connection.carry(() => this.#newest(name, question, members)),
          close: () => connection.close(),
        };
        return opened;
      },
    };
  }

  #tick(run: number, tick: Tick, members: readonly string[]): TickReply {
    if (this.#contents === null) {
      this.#nonce += 1;
      this.#contents = emptyContents(`${run}/${this.#nonce}`);
    }
    const contents = this.#contents;
    const { name } = tick;
    const known = contents.instances.get(name);
    if (tick.isClaim || known === undefined) {
      contents.instances.set(name, tick.instance);
      contents.joins.delete(name);
      silence(contents, name);
    } else if (known !== tick.instance) {
      contents.isNameDuplicate = true;
      return { t: 'replaced' };
    }
    contents.challenges.set(name, tick.challenge);
    if (tick.wants) contents.wants.add(name);
    else contents.wants.delete(name);
    if (contents.id === tick.storeId) {
      if (tick.enter !== '') {
        contents.joins.set(name, tick.enter);
        silence(contents, name);
      } else if (tick.join !== '' && contents.joins.get(name) === tick.join) {
        for (const { to, challenge } of tick.answers) {
          contents.answers.set(`${name}>${to}`, challenge);
        }
      }
    }
    return {
      t: 'ok',
      storeId: contents.id,
      published: contents.published,
      members: members.map((member) => wordOf(contents, member, name)),
    };
  }

  #publish({ storeId, name, join, entries }: Publication): boolean {
    const contents = this.#contents;
    if (contents?.id !== storeId || contents.joins.get(name) !== join) return false;
    contents.entries = [...contents.entries, ...entries].slice(-this.#maxEntries);
    contents.published += entries.length;
    return true;
  }

  #newest(name: string, question: Question, members: readonly string[]): QuestionReply {
    const contents = this.#contents;
    if (contents?.id !== question.storeId) return { t: 'forgotten' };
    const floor = contents.published - contents.entries.length;
    const isThere = question.after >= floor && question.after <= contents.published;
    return {
      t: 'ok',
      published: contents.published,
      entries: isThere ? contents.entries.slice(question.after - floor) : null,
      isNameDuplicate: contents.isNameDuplicate,
      members: members.map((member) => wordOf(contents, member, name)),
    };
  }
}

function silence(contents: Contents, name: string): void {
  for (const key of contents.answers.keys()) {
    if (key.startsWith(`${name}>`)) contents.answers.delete(key);
  }
}

function wordOf(contents: Contents, member: string, asker: string): MemberWord {
  return {
    name: member,
    challenge: contents.challenges.get(member) ?? '',
    wants: contents.wants.has(member),
    join: contents.joins.get(member) ?? '',
    answer: contents.answers.get(`${member}>${asker}`) ?? '',
  };
}

/** A connection: commands are carried out in the order in which they were sent. */
class Line {
  readonly #random: () => number;
  readonly #way: Way;
  readonly #place: () => [isSameRun: boolean, pausedUntilMs: number];
  #lastMs = 0;
  #isClosed = false;

  constructor(
    random: () => number,
    way: Way,
    place: () => [isSameRun: boolean, pausedUntilMs: number],
  ) {
    this.#random = random;
    this.#way = way;
    this.#place = place;
  }

  close(): void {
    this.#isClosed = true;
  }

  carry<Reply>(execute: () => Reply): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const timer = setTimeout(() => {
      reject(new LagwiseError('backend-timeout', 'No answer'));
    }, COMMAND_TIMEOUT_MS);
    const cutAtSend = this.#way.isCut;
    // A cut swallows half of the commands; the other half was on its way and comes through later.
    if (this.#isClosed || (cutAtSend && this.#random() < 0.5)) return promise;
    const travelMs = cutAtSend ? this.#random() * MAX_LATE_MS : 0.5 + this.#random() * 2;
    this.#lastMs = Math.max(this.#lastMs, Date.now() + travelMs);
    this.#at(this.#lastMs, () => {
      const [isSameRun] = this.#place();
      if (!isSameRun) return;
      const reply = execute();
      setTimeout(
        () => {
          if (this.#way.isCut || this.#isClosed) return;
          clearTimeout(timer);
          resolve(reply);
        },
        0.5 + this.#random() * 2,
      );
    });
    return promise;
  }

  #at(ms: number, run: () => void): void {
    setTimeout(
      () => {
        const [, pausedUntilMs] = this.#place();
        if (pausedUntilMs > Date.now()) this.#at(pausedUntilMs, run);
        else run();
      },
      Math.max(0, ms - Date.now()),
    );
  }
}
