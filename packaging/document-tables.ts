/**
 * Fills tables of documents from the tables of the code. A table stands between `<!-- table: NAME -->` and
 * `<!-- end of table -->`.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export type Cells = readonly (string | number)[];

/** A table in Markdown. */
export function table(head: Cells, rows: readonly Cells[]): string {
  const line = (cells: Cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

type Tables = Readonly<Record<string, () => string>>;

/** A document with all its tables as the code has them. Throws Error for a table that the code does not have. */
function withTables(text: string, tables: Tables): string {
  return text.replace(
    /(<!-- table: ([^>]*) -->\n)[\s\S]*?(<!-- end of table -->)/g,
    (_all, head: string, name: string, tail: string) => {
      const render = tables[name];
      if (render === undefined) throw new Error(`there is no table "${name}"`);
      return `${head}\n${render()}\n\n${tail}`;
    },
  );
}

/**
 * Writes the documents, or, called with --check, names those that differ and sets the exit status 1.
 * @param script what writes them, for whoever is told of a difference
 */
export function renderDocuments(documents: readonly string[], tables: Tables, script: string): void {
  for (const path of documents) {
    const text = readFileSync(path, 'utf8');
    const rendered = withTables(text, tables);
    if (rendered === text) continue;
    if (process.argv.includes('--check')) {
      console.log(`${path}: tables differ from the code; run node packaging/run-ts.mjs ${script}`);
      process.exitCode = 1;
    } else writeFileSync(path, rendered);
  }
}
