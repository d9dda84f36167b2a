import { resolvePolicy } from '../routing/policy.ts';
import { readHint } from '../session/statement/hint-cache.ts';
import { Classifier } from '../sql/classify.ts';
import { judgeStatement } from './judge-statement.ts';
import { type ServerDefaults, StatementReader } from './statement-input.ts';

/** How many lines there were, and how many of them were no statements. */
export interface ClassifySummary {
  readonly lines: number;
  readonly errors: number;
}

/** A statement as long as a server takes by default (max_allowed_packet, 64 MiB), with its escapes. */
const MAX_LINE_BYTES = 128 * 1024 * 1024;
/** Output is handed over in pieces of about this length, in characters. */
const OUTPUT_LENGTH = 65_536;
const NEWLINE = 0x0a;

const DEFAULTS = {
  consistency: 'session',
  maxLagMs: Number.MAX_SAFE_INTEGER,
  poolMode: 'transaction',
} as const;
const PLAIN_POLICY = resolvePolicy([], DEFAULTS);

/**
 * Judges one statement a line, in constant memory: a line is answered before the next is read, and
 * reading waits while `write` does.
 * @param write takes a piece of the output; resolves when it may have the next
 */
export async function classifyLines(
  input: AsyncIterable<Buffer>,
  write: (text: string) => Promise<void>,
  server: ServerDefaults,
): Promise<ClassifySummary> {
  const judge = new LineJudge(server);
  for await (const chunk of input) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      judge.take(chunk.subarray(start, end));
      judge.endLine();
      start = end + 1;
      if (judge.output.length >= OUTPUT_LENGTH) await write(judge.drain());
    }
    judge.take(chunk.subarray(start));
    if (judge.output !== '') await write(judge.drain());
  }
  judge.endLine();
  if (judge.output !== '') await write(judge.drain());
  return { lines: judge.lines, errors: judge.errors };
}

class LineJudge {
  /** Answers that were not handed over yet. */
  output = '';
  /** Lines that are not empty. */
  lines = 0;
  errors = 0;
  readonly #classifier = new Classifier();
  readonly #reader: StatementReader;
  #pieces: Buffer[] = [];
  #lineBytes = 0;
  #lineNumber = 0;

  constructor(server: ServerDefaults) {
    this.#reader = new StatementReader(server);
  }

  drain(): string {
    const { output } = this;
    this.output = '';
    return output;
  }

  /** A part of the present line; of one that is too long nothing is kept. */
  take(piece: Buffer): void {
    this.#lineBytes += piece.length;
    if (this.#lineBytes > MAX_LINE_BYTES) this.#pieces = [];
    else if (piece.length > 0) this.#pieces.push(piece);
  }

  endLine(): void {
    const [first = EMPTY, ...more] = this.#pieces;
    const line = more.length === 0 ? first : Buffer.concat(this.#pieces);
    const isTooLong = this.#lineBytes > MAX_LINE_BYTES;
    this.#pieces = [];
    this.#lineBytes = 0;
    this.#lineNumber += 1;
    if (isTooLong) this.#fail(`the line is longer than ${MAX_LINE_BYTES} bytes`);
    else
      this.#judge(
        this.#lineNumber === 1 ? withoutMark(line.toString('utf8')) : line.toString('utf8'),
      );
  }

  #judge(line: string): void {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      // The parser's own message quotes the line, which may hold what nobody should read in a log.
      if (line.trim() !== '') this.#fail('the line is no JSON');
      return;
    }
    const input = this.#reader.read(json);
    if (typeof input === 'string') return this.#fail(input);
    this.lines += 1;
    const { bytes, length, context } = input;
    const found = this.#classifier.classify(bytes, 0, length, context);
    const policy =
      found.hintStart < 0
        ? PLAIN_POLICY
        : resolvePolicy(
            [{ source: 'hint', layer: readHint(bytes, found.hintStart, found.hintEnd).layer }],
            DEFAULTS,
          );
    const verdict = judgeStatement(input, found, policy);
    // Words of closed sets and hexadecimal digits: nothing to escape.
    this.output += `{"class":"${verdict.class}","target":"${verdict.target}","reason":"${verdict.reason}","digest":"${verdict.digest}"}\n`;
  }

  #fail(error: string): void {
    this.lines += 1;
    this.errors += 1;
    this.output += `${JSON.stringify({ error, line: this.#lineNumber })}\n`;
  }
}

const EMPTY = Buffer.alloc(0);

/** Some programs begin their output with a byte order mark, which is no part of the JSON. */
function withoutMark(line: string): string {
  return line.startsWith('\ufeff') ? line.slice(1) : line;
}
