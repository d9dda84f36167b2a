import { isReported } from '../../pool/trackers.ts';
import { assignedVariables } from '../../sql/assigned-variables.ts';
import { EFFECT, type ClassifyContext } from '../../sql/classification.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import type { Command } from '../command/command.ts';

const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const MAY_SET_TRACKERS = EFFECT.SETS_SESSION_VARIABLE | EFFECT.PREPARES_STATEMENT;
const TRACKERS = /\bsession_track_/i;

/**
 * Whether a SET whose assignments were reported has one among them that MySQL was not asked to
 * report. It says that something changed, which each of the reported ones explains.
 */
export function setsUnreported(command: Command, context: ClassifyContext): boolean {
  if (context.flavor !== 'mysql' || (command.effects & EFFECT.SETS_SESSION_VARIABLE) === 0) {
    return false;
  }
  const { text, textAt } = textOf(command);
  // Nearly all set one variable.
  if (text.indexOf(COMMA, textAt) === -1 && text.indexOf(SEMICOLON, textAt) === -1) return false;
  const names = assignedVariables(text, textAt, text.length, context);
  return names === null || !names.every(isReported);
}

/** Whether it may change what the server reports: of such a session less is known, or other things. */
export function setsTrackers(command: Command): boolean {
  if ((command.effects & MAY_SET_TRACKERS) === 0) return false;
  const { text, textAt } = textOf(command);
  return TRACKERS.test(text.toString('latin1', textAt));
}

function textOf({ bytes, textAt, statement }: Command): { text: Buffer; textAt: number } {
  return statement === null
    ? { text: bytes, textAt }
    : { text: statement.shape.packet, textAt: HEADER_BYTES + 1 };
}
