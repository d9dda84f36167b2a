import { type DestinationStream, type Logger as Pino, pino, stdTimeFunctions } from 'pino';
import type { Logger } from '../lib/logger.ts';
import { safeFields } from './log-fields.ts';

/** Least severe first. */
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger and what its owner needs besides. */
export interface LogSink {
  readonly logger: Logger;
  /** Lines lost because the reader of the log was too slow. */
  readonly droppedLines: () => number;
  readonly setLevel: (level: LogLevel) => void;
  /**
   * Settles when all lines are written, or the reader has stood still for a second. For the end of
   * the process: it would take with it a line that is being written.
   */
  readonly flush: () => Promise<void>;
}

/** A file descriptor (1 standard output, 2 standard error) or anything that takes lines. */
export type LogDestination = number | { write(line: string): void };

/** Lines waiting for a reader that stands still; beyond it they are dropped and counted. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** JSON lines through pino; a slow reader of them never holds up the proxy. */
export function createLogger(level: LogLevel, destination: LogDestination): LogSink {
  const output = typeof destination === 'number' ? openDescriptor(destination) : plain(destination);
  const root = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Errors arrive as plain fields already (`log-fields.ts`); pino's own serializer stays out.
      serializers: { err: (fields: unknown) => fields },
    },
    output.stream,
  );
  return {
    logger: wrap(root, () => root.level),
    droppedLines: output.droppedLines,
    setLevel: (next) => {
      root.level = next;
    },
    flush: output.flush,
  };
}

interface Output {
  readonly stream: DestinationStream;
  readonly droppedLines: () => number;
  readonly flush: () => Promise<void>;
}

/** A reader that takes nothing must not keep the process from ending. */
const FLUSH_DEADLINE_MS = 1000;

function plain(stream: DestinationStream): Output {
  return { stream, droppedLines: () => 0, flush: () => Promise.resolve() };
}

function openDescriptor(fd: number): Output {
  // Asynchronous: a blocked pipe must not stop the event loop and with it all traffic.
  const stream = pino.destination({ fd, sync: false, maxLength: MAX_BUFFERED_BYTES });
  let dropped = 0;
  stream.on('drop', () => {
    dropped += 1;
  });
  // The reader went away (EPIPE): logging must not end the proxy. The lines are lost, and counted.
  stream.on('error', () => {
    dropped += 1;
  });
  return {
    stream,
    droppedLines: () => dropped,
    flush: async () => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const timer = setTimeout(resolve, FLUSH_DEADLINE_MS, undefined);
      stream.once('drain', () => resolve(undefined));
      // Nothing, behind all that is there: what it drains is everything.
      stream.write('');
      await promise;
      clearTimeout(timer);
    },
  };
}

const RANK: Readonly<Record<string, number>> = Object.fromEntries(
  LOG_LEVELS.map((level, rank) => [level, rank]),
);

/** Children ask the root for the level, so that a change of it reaches loggers made before. */
function wrap(target: Pino, rootLevel: () => string): Logger {
  // A child must let everything through: its own level was copied when it was made.
  const write = (level: Exclude<LogLevel, 'silent'>, fields: object, message: string): void => {
    if ((RANK[level] ?? 0) < (RANK[rootLevel()] ?? 0)) return;
    target[level](safeFields(fields), message);
  };
  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message),
    child: (fields) => wrap(target.child(safeFields(fields), { level: 'debug' }), rootLevel),
  };
}
