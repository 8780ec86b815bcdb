/**
 * The `metallb` command.
 * @module
 */
import { Command } from 'commander';
import manifest from '../../../package.json' with { type: 'json' };
import { own } from '../../core/api/json.ts';
import { describeError } from './errors.ts';
import { fromGoStyle } from './flags.ts';
import { complain, printed, show } from './terminal.ts';

const { version } = manifest;

/** Each is loaded on demand: a speaker does not need the embedded API server. */
const COMMANDS: Readonly<Record<string, (program: Command) => Promise<void>>> = {
  controller: async (program) => (await import('./commands/controller.ts')).addControllerCommand(program),
  speaker: async (program) => (await import('./commands/speaker.ts')).addSpeakerCommand(program),
  standalone: async (program) => (await import('./commands/standalone.ts')).addStandaloneCommand(program),
  install: async (program) => (await import('./commands/install.ts')).addInstallCommand(program),
  uninstall: async (program) => (await import('./commands/install.ts')).addUninstallCommand(program),
  migrate: async (program) => (await import('./commands/migrate.ts')).addMigrateCommand(program),
  convert: async (program) => (await import('./commands/convert.ts')).addConvertCommand(program),
  explain: async (program) => (await import('./commands/explain.ts')).addExplainCommand(program),
  plan: async (program) => (await import('./commands/plan.ts')).addPlanCommand(program),
  doctor: async (program) => (await import('./commands/doctor.ts')).addDoctorCommand(program),
  status: async (program) => (await import('./commands/status.ts')).addStatusCommand(program),
};

const program = new Command('metallb')
  .description('the load balancer that bare-metal Kubernetes lacks')
  .version(version)
  .showHelpAfterError('run the command with --help to see its flags')
  .configureOutput({
    writeOut: show,
    writeErr: complain,
    outputError: (text, write) => write(text.replace(/^error: /, 'metallb: ')),
  });
const args = fromGoStyle(process.argv.slice(2));
const only = own(COMMANDS, args[0] ?? '');
for (const add of only === undefined ? Object.values(COMMANDS) : [only]) await add(program);

try {
  await program.parseAsync(args, { from: 'user' });
  await printed();
  process.exit(process.exitCode ?? 0);
} catch (error) {
  const { text, exitCode } = describeError(error);
  complain(`metallb: ${text}\n`);
  process.exit(exitCode);
}
