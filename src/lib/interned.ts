/**
 * One object for each key, for as long as anybody refers to it: equal things can then be compared
 * by identity, and a table of them does not grow with what was seen once.
 */
export class Interned<T extends object> {
  private readonly byKey = new Map<string, WeakRef<T>>();
  private readonly collected = new FinalizationRegistry<string>((key) => {
    // A new object may have taken the place of the one that was collected.
    if (this.byKey.get(key)?.deref() === undefined) this.byKey.delete(key);
  });

  /** Keys that are held, those whose object is about to go included. */
  get size(): number {
    return this.byKey.size;
  }

  /** The object of `key`; `make` is called where there is none. */
  get(key: string, make: () => T): T {
    const known = this.byKey.get(key)?.deref();
    if (known !== undefined) return known;
    const made = make();
    this.byKey.set(key, new WeakRef(made));
    this.collected.register(made, key);
    return made;
  }
}
