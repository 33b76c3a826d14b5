/** Rows of the header inspector: folding, searching, comparing and copying. */

import type { HeaderElement } from "../dicomweb/client";

export interface HeaderRow extends HeaderElement {
	/** Depth on the screen: an item lies inside its sequence, its elements inside the item. */
	readonly level: number;
	/** Place in the stored order. */
	readonly index: number;
	/** Tags from the top to this element, items numbered; the same in two headers means the same element. */
	readonly path: string;
	/** True when elements follow that lie inside this one. */
	readonly folds: boolean;
	/** In a comparison: the other header's value, ABSENT where it has no such element. */
	readonly other?: string;
}

/** `(0010,0010)`; tags of items keep their own. */
export function spellTag(tag: string): string {
	return `(${tag.slice(0, 4)},${tag.slice(4)})`;
}

const ITEM = "FFFEE000";

const levelOf = ({ depth, tag }: HeaderElement) => 2 * depth + (tag === ITEM ? 1 : 0);

/** Adds levels, paths and what folds. */
export function headerRows(elements: readonly HeaderElement[]): HeaderRow[] {
	const counts: Map<string, number>[] = [];
	const trail: string[] = [];
	return elements.map((element, index) => {
		const { tag } = element;
		const level = levelOf(element);
		counts.length = level + 1;
		const seen = counts[level] ?? new Map<string, number>();
		counts[level] = seen;
		const nth = (seen.get(tag) ?? 0) + 1;
		seen.set(tag, nth);
		trail.length = level;
		trail[level] = nth === 1 ? tag : `${tag}#${nth}`;
		const next = elements[index + 1];
		const path = trail.filter(Boolean).join("/");
		return { ...element, level, index, path, folds: next !== undefined && levelOf(next) > level };
	});
}

const haystack = (row: HeaderRow) =>
	`${row.tag} ${spellTag(row.tag)} ${row.keyword} ${row.name} ${row.creator} ${row.value} ${row.other ?? ""}`.toLowerCase();

/** Rows to show: those of folded sequences left out; a search keeps matches and what they lie in. */
export function visibleRows(
	rows: readonly HeaderRow[],
	folded: ReadonlySet<string>,
	search: string,
	keep: (row: HeaderRow) => boolean = () => true,
): HeaderRow[] {
	const wanted = search.trim().toLowerCase();
	const filtering = wanted !== "" || rows.some((row) => !keep(row));
	if (!filtering) {
		let hiddenBelow = Number.POSITIVE_INFINITY;
		return rows.filter((row) => {
			if (row.level > hiddenBelow) return false;
			hiddenBelow = row.folds && folded.has(row.path) ? row.level : Number.POSITIVE_INFINITY;
			return true;
		});
	}
	const shown = new Set<number>();
	const parents: number[] = [];
	rows.forEach((row, index) => {
		parents.length = row.level;
		if (keep(row) && haystack(row).includes(wanted)) {
			for (const parent of parents) shown.add(parent);
			shown.add(index);
		}
		parents[row.level] = index;
	});
	return rows.filter((_, index) => shown.has(index));
}

/** Paths whose value differs between two headers, or that only one of them has. */
export function differingPaths(a: readonly HeaderRow[], b: readonly HeaderRow[]): Set<string> {
	const values = (rows: readonly HeaderRow[]) => new Map(rows.map((row) => [row.path, row.value]));
	const [left, right] = [values(a), values(b)];
	const paths = new Set([...left.keys(), ...right.keys()]);
	return new Set([...paths].filter((path) => left.get(path) !== right.get(path)));
}

/** How an element that is not there is written. */
export const ABSENT = "\u2014";

/** Rows of both headers, the first one's order leading; each with the other's value. */
export function comparedRows(a: readonly HeaderRow[], b: readonly HeaderRow[]): HeaderRow[] {
	const left = new Set(a.map((row) => row.path));
	const right = new Map(b.map((row) => [row.path, row]));
	const after = new Map<string, HeaderRow[]>();
	let previous = "";
	for (const row of b) {
		if (left.has(row.path)) previous = row.path;
		else after.set(previous, [...(after.get(previous) ?? []), row]);
	}
	const onlyThere = (path: string) =>
		(after.get(path) ?? []).map((row) => ({ ...row, value: ABSENT, other: row.value }));
	const all = [
		...onlyThere(""),
		...a.flatMap((row) => [
			{ ...row, other: right.get(row.path)?.value ?? ABSENT },
			...onlyThere(row.path),
		]),
	];
	return all.map((row, index) => ({ ...row, index }));
}

/** One line an element, indented as nested. */
export function asText(rows: readonly HeaderRow[]): string {
	return rows
		.map((row) => {
			const length = row.length < 0 ? "undefined" : String(row.length);
			const name = row.keyword || row.name;
			const value = row.other === undefined ? row.value : `${row.value} | ${row.other}`;
			return `${"  ".repeat(row.level)}${spellTag(row.tag)} ${row.vr} ${length} ${name}: ${value}`;
		})
		.join("\n");
}
