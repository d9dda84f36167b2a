import type { Classification, ClassifyContext } from '../../sql/classification.ts';
import { TOKEN } from '../../sql/token.ts';
import { TokenCursor, tokenList } from '../../sql/token-list.ts';

/** Classifies a text; see `Classifier`. */
interface Classifying {
  classify(
    bytes: Buffer,
    start: number,
    end: number,
    context: ClassifyContext,
  ): Pick<Classification, 'effects'>;
}

/** Statements prepared by text that are remembered; of others what they do is not known. */
const MAX_NAMES = 1000;

/**
 * What the statements that a session prepared by text (`PREPARE s FROM '…'`) do, so that EXECUTE is
 * taken for what it runs. Those whose text is in a variable are not known.
 */
export class TextPrepared {
  private readonly classifier: Classifying;
  private byName: Map<string, number> | null = null;

  constructor(classifier: Classifying) {
    this.classifier = classifier;
  }

  /** A PREPARE has succeeded. */
  notePrepare(text: Buffer, textAt: number, context: ClassifyContext): void {
    const tokens = tokenList(text, textAt, text.length, context);
    if (tokens === null) return this.clear();
    const cursor = new TokenCursor(tokens);
    if (!cursor.take('PREPARE')) return;
    const name = cursor.takeName()?.name.toLowerCase();
    if (name === undefined) return this.clear();
    this.byName?.delete(name);
    const literal = cursor.take('FROM') ? cursor.peek() : undefined;
    if (literal?.kind !== TOKEN.STRING || literal.escaped || cursor.peek(1) !== undefined) return;
    const statement = Buffer.from(literal.text);
    const found = this.classifier.classify(statement, 0, statement.length, context);
    this.byName ??= new Map();
    if (this.byName.size < MAX_NAMES) this.byName.set(name, found.effects);
  }

  /** Effects of what an EXECUTE has run, null where they are not known. */
  effectsOf(text: Buffer, textAt: number, context: ClassifyContext): number | null {
    const tokens = this.byName === null ? null : tokenList(text, textAt, text.length, context);
    if (tokens === null) return null;
    const cursor = new TokenCursor(tokens);
    const name = cursor.take('EXECUTE') ? cursor.takeName() : null;
    return name === null ? null : (this.byName?.get(name.name.toLowerCase()) ?? null);
  }

  /** COM_RESET_CONNECTION: none is left. */
  clear(): void {
    this.byName = null;
  }
}
