/**
 * The `metallb` command.
 * @module
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addControllerCommand } from './commands/controller.ts';
import { addConvertCommand } from './commands/convert.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addSpeakerCommand } from './commands/speaker.ts';
import { addStandaloneCommand } from './commands/standalone.ts';
import { addStatusCommand } from './commands/status.ts';
import { describeError } from './errors.ts';
import { fromGoStyle } from './flags.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('metallb')
  .description('the load balancer that bare-metal Kubernetes lacks')
  .version(version)
  .showHelpAfterError('run the command with --help to see its flags')
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'metallb: ')) });
addControllerCommand(program);
addSpeakerCommand(program);
addStandaloneCommand(program);
addConvertCommand(program);
addExplainCommand(program);
addPlanCommand(program);
addDoctorCommand(program);
addStatusCommand(program);

try {
  await program.parseAsync(fromGoStyle(process.argv.slice(2)), { from: 'user' });
  process.exit(process.exitCode ?? 0);
} catch (error) {
  const { text, exitCode } = describeError(error);
  process.stderr.write(`metallb: ${text}\n`);
  process.exit(exitCode);
}
