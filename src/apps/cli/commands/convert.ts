/**
 * `metallb convert`: the ConfigMap of releases before 0.13 as custom resources.
 * @module
 */

import type { Command } from 'commander';
import { firstLine } from '../../../adapters/errors.ts';
import { readInput } from '../../../adapters/files/input.ts';
import { formatYaml, parseYaml } from '../../../adapters/files/yaml.ts';
import { formatProblem } from '../../../core/api/problem.ts';
import { byResource, resolveConfig } from '../../../core/config/resolve.ts';
import { convertLegacy } from '../../../core/migration/legacy.ts';
import { CliError } from '../errors.ts';
import { showDocument } from '../terminal.ts';

interface Options {
  readonly filename: string;
  readonly onlyData?: boolean;
}

interface ConfigMap {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly data?: { readonly config?: string };
}

export function addConvertCommand(program: Command): void {
  program
    .command('convert')
    .description('turn the ConfigMap of MetalLB before 0.13 into custom resources, on standard output')
    .requiredOption('-f, --filename <file>', 'the ConfigMap; - reads standard input')
    .option('--only-data', 'the file is the inner document, without the ConfigMap around it')
    .action(async (options: Options) => {
      const text = await readInput(options.filename);
      const outer = read(text, options.filename) as ConfigMap;
      const inner = options.onlyData ? outer : innerDocument(outer, options.filename);
      const namespace = (options.onlyData ? undefined : outer.metadata?.namespace) ?? 'metallb-system';
      const conversion = convertLegacy(inner, outer.metadata?.name ?? options.filename, namespace);
      if (!conversion.ok) throw new CliError(conversion.problems.map(formatProblem).join('\n'));
      const { problems } = resolveConfig(byResource(conversion.resources));
      const faults = problems.map(({ consequence: _unused, ...problem }) => formatProblem(problem));
      if (faults.length > 0) throw new CliError(faults.join('\n'));
      const documents = conversion.resources.map((resource) => `${formatYaml(resource)}---\n`);
      showDocument(`# Converted by metallb convert from ${options.filename}.\n${documents.join('')}`);
    });
}

function innerDocument(outer: ConfigMap, file: string): unknown {
  const config = outer?.data?.config;
  if (typeof config !== 'string')
    throw new CliError(`${file}: it has no data.config; give a ConfigMap, or --only-data with the inner document`);
  return read(config, `${file}: data.config`);
}

function read(text: string, where: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw new CliError(`${where}: ${firstLine(error)}`);
  }
}
