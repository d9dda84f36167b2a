#!/usr/bin/env node
import { Command } from 'commander';
import { checkCommand } from './cli/check.ts';
import { classifyCommand } from './cli/classify.ts';
import { demoCommand } from './cli/demo.ts';
import { explainCommand } from './cli/explain.ts';
import { labCommand } from './cli/lab.ts';
import { startCommand } from './cli/start.ts';
import { LagwiseError } from './lib/errors.ts';
import { VERSION } from './version.ts';

try {
  await new Command('lagwise')
    .description('MySQL replication proxy: writes to the primary, reads over the replicas by lag')
    .version(VERSION)
    .addCommand(startCommand())
    .addCommand(checkCommand())
    .addCommand(explainCommand())
    .addCommand(classifyCommand())
    .addCommand(labCommand())
    .addCommand(demoCommand())
    .parseAsync();
} catch (error) {
  // Anything else is a defect and deserves its stack.
  if (!(error instanceof LagwiseError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
