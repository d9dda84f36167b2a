import { setImmediate as turn } from 'node:timers/promises';
import { DOES, functionKindOf, procedureKindOf } from './routine-bits.ts';
import {
  foldedName,
  type JudgedListing,
  type JudgedRoutine,
  type UnsafeView,
} from './routine-catalogue.ts';
import { type ReadText, readRoutineText, type TextFacts } from './routine-text.ts';
import type { RoutineListing, RoutineRow, ViewRow } from './routine-listing.ts';

const WHY = {
  'too-long': 'its text is too long',
  unreadable: 'its text cannot be read',
} as const;

/** One routine or view on the way to a judgement. */
interface Node {
  readonly schema: string;
  readonly name: string;
  readonly row: RoutineRow | null;
  bits: number;
  why: string;
  /** Who calls or reads it. */
  readonly users: Node[];
}

/** The texts are read in slices of this length, so that sessions are not held up, ms. */
const SLICE_MS = 4;
/** The server prints a view in its own way, whatever the mode that it was made under. */
const AS_PRINTED = { sqlMode: '', parameters: [] };
/** What the server brings with it is not called by an application's views. */
const OWN_SCHEMAS = new Set(['sys', 'mysql']);

/**
 * Judges what routines and views do, by their texts and by the texts of all that they call. What
 * an author declared counts only where the text is hidden: no server holds him to it. Yields to
 * other work every few milliseconds.
 */
export async function judgeRoutines(
  listing: RoutineListing,
  readText: ReadText = readRoutineText,
): Promise<JudgedListing> {
  const graph = new Graph(listing, readText);
  await graph.read();
  graph.settle();
  if (graph.hasDanger()) graph.distrustHiddenViews();
  return {
    routines: graph.routines.map(judged),
    unsafeViews: graph.views.filter(({ bits }) => bits !== 0).map(unsafe),
    loadable: listing.loadable.map(({ name }) => name),
    packages: listing.packages,
    isComplete: listing.isComplete,
  };
}

function judged({ schema, name, row, bits, why }: Node): JudgedRoutine {
  const type = row?.type ?? 'function';
  const kind = type === 'function' ? functionKindOf(bits) : procedureKindOf(bits);
  return { schema, name, type, kind, why };
}

function unsafe({ schema, name, why }: Node): UnsafeView {
  return { schema, name, why };
}

/** Routines and views, and who uses whom. */
class Graph {
  readonly routines: readonly Node[];
  readonly views: readonly Node[];
  readonly #listing: RoutineListing;
  readonly #readText: ReadText;
  readonly #routinesByName = new Map<string, Node[]>();
  readonly #viewsByName = new Map<string, Node[]>();
  readonly #loadable: ReadonlySet<string>;
  readonly #packages: ReadonlySet<string>;

  constructor(listing: RoutineListing, readText: ReadText) {
    this.#listing = listing;
    this.#readText = readText;
    this.#loadable = new Set(listing.loadable.map(({ name }) => foldedName(name)));
    this.#packages = new Set(listing.packages.map((name) => name.toLowerCase()));
    this.routines = listing.routines.map((row) => nodeOf(row, row));
    this.views = listing.views.map((row) => nodeOf(row, null));
    for (const node of this.routines) append(this.#routinesByName, foldedName(node.name), node);
    for (const node of this.views) append(this.#viewsByName, node.name.toLowerCase(), node);
  }

  /** Reads the texts: what each does by itself, and whom it uses. */
  async read(): Promise<void> {
    let sliceEndsMs = performance.now() + SLICE_MS;
    const breathe = async () => {
      if (performance.now() < sliceEndsMs) return;
      await turn();
      sliceEndsMs = performance.now() + SLICE_MS;
    };
    for (const node of this.routines) {
      this.#readRoutine(node);
      await breathe();
    }
    for (const [n, view] of this.#listing.views.entries()) {
      const node = this.views[n];
      if (node !== undefined) this.#readView(node, view);
      await breathe();
    }
  }

  /** Adds to each what those do whom it uses, until nothing changes any more. */
  settle(): void {
    const waiting = [...this.routines, ...this.views].filter(({ bits }) => bits !== 0);
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      for (const user of node.users) {
        if ((user.bits | node.bits) === user.bits) continue;
        if (user.bits === 0) user.why = `uses ${node.schema}.${node.name}`;
        user.bits |= node.bits;
        waiting.push(user);
      }
    }
  }

  /** Whether a view could run anything that is not a plain read. */
  hasDanger(): boolean {
    if (!this.#listing.isComplete || this.#listing.loadable.some(({ isInstalled }) => isInstalled))
      return true;
    return this.routines.some(
      ({ schema, bits, row }) => row?.type === 'function' && bits !== 0 && !OWN_SCHEMAS.has(schema),
    );
  }

  /** A view whose text is hidden may be the one that runs it. */
  distrustHiddenViews(): void {
    for (const [n, { definition }] of this.#listing.views.entries()) {
      const node = this.views[n];
      if (node === undefined || definition.t !== 'hidden') continue;
      mark(
        node,
        DOES.ANYTHING,
        'its text is hidden from the monitor, and not all functions only read',
      );
    }
    this.settle();
  }

  #readRoutine(node: Node): void {
    const { row } = node;
    if (row === null) return;
    const { body } = row;
    if (!row.isSql) mark(node, DOES.ANYTHING, 'not written in SQL');
    else if (body.t === 'text') this.#use(node, this.#facts(body.text, row));
    else if (body.t === 'hidden') judgeHidden(node, row);
    else mark(node, DOES.ANYTHING, WHY[body.t]);
  }

  #readView(node: Node, { definition }: ViewRow): void {
    if (definition.t === 'text') this.#use(node, this.#facts(definition.text, AS_PRINTED));
    else if (definition.t !== 'hidden') mark(node, DOES.ANYTHING, WHY[definition.t]);
  }

  #facts(
    text: string,
    { sqlMode, parameters }: Pick<RoutineRow, 'sqlMode' | 'parameters'>,
  ): TextFacts {
    const { flavor, version } = this.#listing;
    return this.#readText(text, { flavor, version, sqlMode, parameters }, this.#viewsByName);
  }

  #use(node: Node, { writes, leavesState, calls, views }: TextFacts): void {
    if (writes) mark(node, DOES.WRITE, 'its text writes');
    if (leavesState) mark(node, DOES.LEAVE_STATE, 'its text leaves session state');
    for (const { schema, name } of calls) {
      const called = this.#called(schema ?? node.schema, name, schema === null);
      if (called === null) mark(node, DOES.ANYTHING, `calls ${name}, which is not known`);
      for (const each of called ?? []) each.users.push(node);
    }
    for (const name of views) {
      for (const view of this.#viewsByName.get(name) ?? []) view.users.push(node);
    }
  }

  /** What a name may call; null for something that is not known. */
  #called(schema: string, name: string, isBare: boolean): readonly Node[] | null {
    const folded = foldedName(name);
    if (isBare && this.#loadable.has(folded)) return null;
    if (!isBare && this.#packages.has(schema.toLowerCase())) return null;
    const wanted = schema.toLowerCase();
    const found = (this.#routinesByName.get(folded) ?? []).filter(
      (node) => node.schema.toLowerCase() === wanted,
    );
    return found.length === 0 ? null : found;
  }
}

function nodeOf(from: { schema: string; name: string }, row: RoutineRow | null): Node {
  return {
    schema: from.schema,
    name: from.name,
    row,
    bits: 0,
    why: 'its text only reads',
    users: [],
  };
}

/**
 * A function that promises to read only is trusted: a replica refuses a write of it, and the
 * statement then runs on the primary. CONTAINS SQL is what somebody gets who promised nothing.
 */
function judgeHidden(node: Node, row: RoutineRow): void {
  const promises = row.access === 'READS SQL DATA' || row.access === 'NO SQL';
  if (row.type === 'function' && promises) {
    node.why = `declared ${row.access}; its text is hidden from the monitor`;
  } else mark(node, DOES.ANYTHING, 'its text is hidden from the monitor');
}

function mark(node: Node, bits: number, why: string): void {
  if (node.bits === 0) node.why = why;
  else if ((node.bits & bits) !== bits) node.why += `, ${why}`;
  node.bits |= bits;
}

function append(map: Map<string, Node[]>, key: string, node: Node): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [node]);
  else there.push(node);
}
