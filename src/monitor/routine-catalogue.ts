import { ROUTINE_KIND, type RoutineFacts, type RoutineKind } from '../sql/routine-facts.ts';
import { isPlainName, NameIndex } from './name-index.ts';
import { bitsOf, functionKindOf, procedureKindOf } from './routine-bits.ts';

/** One function or procedure with what it was judged to be. */
export interface JudgedRoutine {
  readonly schema: string;
  readonly name: string;
  readonly type: 'function' | 'procedure';
  readonly kind: RoutineKind;
  /** For people: what decided. */
  readonly why: string;
}

/** A view that must not run on a replica. */
export interface UnsafeView {
  readonly schema: string;
  readonly name: string;
  readonly why: string;
}

/** What a catalogue is made from. */
export interface JudgedListing {
  readonly routines: readonly JudgedRoutine[];
  readonly unsafeViews: readonly UnsafeView[];
  /** Names of loadable functions. */
  readonly loadable: readonly string[];
  /** Names of packages. */
  readonly packages: readonly string[];
  /** Every routine is in it. A name without schema is known only then. */
  readonly isComplete: boolean;
}

const NOTHING: JudgedListing = {
  routines: [],
  unsafeViews: [],
  loadable: [],
  packages: [],
  isComplete: false,
};

interface Named {
  /** What a name without schema may mean: all of that name together. */
  readonly anywhere: RoutineKind;
  readonly bySchema: NameIndex<RoutineKind>;
}

/**
 * What stored routines do, found by their names. Immutable: a new one is made for each change.
 *
 * The classifier does not know the session's schema, so a name without one means all routines of
 * that name at once. Names and schemas are compared whatever their case: that may take two schemas
 * for one, and then the worse of both counts.
 */
export class RoutineCatalogue implements RoutineFacts {
  /** Knows nothing. */
  static readonly EMPTY = new RoutineCatalogue(NOTHING);

  readonly listing: JudgedListing;
  readonly hasUnsafeViews: boolean;
  readonly #functions: NameIndex<Named>;
  readonly #procedures: NameIndex<Named>;
  readonly #packages = new NameIndex<true>();
  readonly #views = new NameIndex<true>();

  constructor(listing: JudgedListing) {
    this.listing = listing;
    const { routines, unsafeViews, loadable, packages, isComplete } = listing;
    const ofType = (wanted: JudgedRoutine['type']) =>
      routines.filter(({ type }) => type === wanted);
    this.#functions = indexOf(ofType('function'), functionKindOf, { isComplete, loadable });
    this.#procedures = indexOf(ofType('procedure'), procedureKindOf, { isComplete, loadable: [] });
    for (const name of distinct(packages)) this.#packages.add(name, true);
    for (const name of distinct(unsafeViews.map((view) => view.name))) this.#views.add(name, true);
    this.hasUnsafeViews = unsafeViews.length > 0;
  }

  /** The same views, but nothing known of routines: while one may have changed. */
  withoutRoutines(): RoutineCatalogue {
    return new RoutineCatalogue({ ...NOTHING, unsafeViews: this.listing.unsafeViews });
  }

  /** Whether one made from this listing would answer as this one does. */
  isOf(listing: JudgedListing): boolean {
    const { routines, unsafeViews, loadable, packages, isComplete } = this.listing;
    return (
      isComplete === listing.isComplete &&
      isSame(routines, listing.routines, (a, b) => a.kind === b.kind && a.type === b.type) &&
      isSame(unsafeViews, listing.unsafeViews, () => true) &&
      loadable.join('\0') === listing.loadable.join('\0') &&
      packages.join('\0') === listing.packages.join('\0')
    );
  }

  functionKind(
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    schemaStart: number,
    schemaEnd: number,
  ): RoutineKind {
    const named = this.#functions.get(buf, nameStart, nameEnd);
    if (named === undefined) return ROUTINE_KIND.UNKNOWN;
    return this.#kindIn(named, buf, schemaStart, schemaEnd) ?? ROUTINE_KIND.UNKNOWN;
  }

  procedureKind(
    buf: Uint8Array,
    nameStart: number,
    nameEnd: number,
    schemaStart: number,
    schemaEnd: number,
  ): RoutineKind {
    const named = this.#procedures.get(buf, nameStart, nameEnd);
    if (named === undefined) return ROUTINE_KIND.OPAQUE;
    return this.#kindIn(named, buf, schemaStart, schemaEnd) ?? ROUTINE_KIND.OPAQUE;
  }

  unsafeView(buf: Uint8Array, nameStart: number, nameEnd: number): boolean {
    if (this.#views.get(buf, nameStart, nameEnd) === true) return true;
    return this.#views.hasOthers && !isPlainName(buf, nameStart, nameEnd);
  }

  #kindIn(
    named: Named,
    buf: Uint8Array,
    schemaStart: number,
    schemaEnd: number,
  ): RoutineKind | undefined {
    if (schemaStart < 0) return named.anywhere;
    if (this.#packages.get(buf, schemaStart, schemaEnd) === true) return undefined;
    return named.bySchema.get(buf, schemaStart, schemaEnd);
  }
}

type Placed = Pick<JudgedRoutine, 'schema' | 'name'>;

/** Whether two lists have the same names in the same order, alike in what `isAlike` looks at. */
function isSame<Item extends Placed>(
  ours: readonly Item[],
  theirs: readonly Item[],
  isAlike: (a: Item, b: Item) => boolean,
): boolean {
  if (ours.length !== theirs.length) return false;
  return ours.every((a, n) => {
    const b = theirs[n];
    return b !== undefined && a.name === b.name && a.schema === b.schema && isAlike(a, b);
  });
}

interface Scope {
  readonly isComplete: boolean;
  readonly loadable: readonly string[];
}

function indexOf(
  routines: readonly JudgedRoutine[],
  kindOf: (bits: number) => RoutineKind,
  { isComplete, loadable }: Scope,
): NameIndex<Named> {
  const loadableNames = new Set(loadable.map(foldedName));
  /** By folded name and folded schema: the bits of all that fall together. */
  const bits = new Map<string, Map<string, number>>();
  for (const { schema, name, kind } of routines) {
    const key = foldedName(name);
    const bySchema = bits.get(key) ?? new Map<string, number>();
    const folded = schema.toLowerCase();
    bySchema.set(folded, (bySchema.get(folded) ?? 0) | bitsOf(kind));
    bits.set(key, bySchema);
  }
  const index = new NameIndex<Named>();
  for (const [name, bySchema] of bits) {
    const kinds = new NameIndex<RoutineKind>();
    let all = 0;
    for (const [schema, each] of bySchema) {
      kinds.add(schema, kindOf(each));
      all |= each;
    }
    const isKnown = isComplete && !loadableNames.has(name);
    const anywhere = isKnown ? kindOf(all) : kindOf(bitsOf(ROUTINE_KIND.UNKNOWN));
    index.add(name, { anywhere, bySchema: kinds });
  }
  return index;
}

/**
 * Names of routines are the same whatever their case and accents: `É` may be called as `e`.
 * https://dev.mysql.com/doc/refman/9.4/en/identifier-case-sensitivity.html
 */
export function foldedName(name: string): string {
  return name.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase();
}

function distinct(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}
