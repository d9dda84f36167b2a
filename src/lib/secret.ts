/**
 * A secret that cannot be printed by accident: string conversion, JSON and `console.log` all give
 * `[secret]`. The text is behind `reveal()`, so every use of it can be found by name.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself: for the authentication exchange and nothing else. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  /** What `node:util`'s inspect and so `console.log` show. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
