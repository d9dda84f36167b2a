import { EFFECT } from './classification.ts';
import type { Scanner } from './scanner.ts';
import { KW } from './word-table.ts';

/** BEGIN [WORK]; with anything behind it, a compound statement of MariaDB. */
export function parseBegin(s: Scanner): void {
  s.next();
  s.take(KW.WORK);
  if (!s.atEnd()) {
    s.become('unknown', 'compound-statement');
    s.effects |= EFFECT.OPAQUE;
    s.skipAll();
    return;
  }
  s.become('transaction', 'begin');
  s.effects |= EFFECT.STARTS_TRANSACTION | EFFECT.IMPLICIT_COMMIT;
}

/** START TRANSACTION with its characteristics; START REPLICA and the like are administration. */
export function parseStart(s: Scanner): void {
  s.next();
  if (!s.take(KW.TRANSACTION)) {
    s.become('write', 'admin');
    s.effects |= EFFECT.IMPLICIT_COMMIT;
    return;
  }
  s.become('transaction', 'begin');
  s.effects |= EFFECT.STARTS_TRANSACTION | EFFECT.IMPLICIT_COMMIT;
  for (; !s.atEnd(); s.next()) {
    if (s.at(KW.ONLY)) s.effects |= EFFECT.STARTS_READ_ONLY_TRANSACTION;
    if (s.at(KW.SNAPSHOT)) s.effects |= EFFECT.WITH_CONSISTENT_SNAPSHOT;
  }
}

/** COMMIT and ROLLBACK; ROLLBACK TO a savepoint ends nothing. */
export function parseEndOfTransaction(s: Scanner): void {
  const isCommit = s.at(KW.COMMIT);
  s.next();
  s.take(KW.WORK);
  if (!isCommit && s.at(KW.TO)) {
    s.become('transaction', 'savepoint');
    return;
  }
  s.become('transaction', isCommit ? 'commit' : 'rollback');
  s.effects |= EFFECT.ENDS_TRANSACTION;
  for (; !s.atEnd(); s.next()) {
    if (s.at(KW.CHAIN) && s.lexer.prevWord !== KW.NO) s.effects |= EFFECT.STARTS_TRANSACTION;
  }
}

/** SAVEPOINT, RELEASE SAVEPOINT. */
export function parseSavepoint(s: Scanner): void {
  s.become('transaction', 'savepoint');
}

/** XA START … XA COMMIT. */
export function parseXa(s: Scanner): void {
  s.next();
  s.become('transaction', 'xa');
  s.effects |= EFFECT.XA;
  if (s.at(KW.START) || s.at(KW.BEGIN)) s.effects |= EFFECT.STARTS_TRANSACTION;
  if (s.at(KW.COMMIT) || s.at(KW.ROLLBACK)) s.effects |= EFFECT.ENDS_TRANSACTION;
  s.next();
}
