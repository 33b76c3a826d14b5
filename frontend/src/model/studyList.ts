/** The pages of a study list as plain data, and how changes get into them without moving rows. */
import type { StudyPage, StudyRow } from "../dicomweb/studies";

interface Pages<P> {
	pages: StudyPage[];
	pageParams: P[];
}

/** Rows that changed take their new values in place. */
export function patchRows<P>(data: Pages<P>, fresh: StudyRow[]): Pages<P> {
	const byUid = new Map(fresh.map((row) => [row.StudyInstanceUID, row]));
	return withRows(data, (rows) => rows.map((row) => byUid.get(row.StudyInstanceUID) ?? row));
}

/** Rows whose study is gone disappear. */
export function dropRows<P>(data: Pages<P>, gone: ReadonlySet<string>): Pages<P> {
	return withRows(data, (rows) => rows.filter((row) => !gone.has(row.StudyInstanceUID)));
}

function withRows<P>(data: Pages<P>, change: (rows: StudyRow[]) => StudyRow[]): Pages<P> {
	const pages = data.pages.map((page) => ({ ...page, studies: change(page.studies) }));
	return { ...data, pages };
}

/** A fresh first page enters in front; rows that were on it and moved are not shown twice. */
export function arrivals<P>(data: Pages<P>, first: StudyPage): Pages<P> {
	if (data.pages.length <= 1) return { ...data, pages: [first] };
	const inFront = new Set(first.studies.map((row) => row.StudyInstanceUID));
	const old = data.pages[0];
	const pushedOut = (old?.studies ?? []).filter((row) => !inFront.has(row.StudyInstanceUID));
	const rest = data.pages.slice(1).map((page, position) => ({
		...page,
		studies: [...(position === 0 ? pushedOut : []), ...page.studies].filter(
			(row) => !inFront.has(row.StudyInstanceUID),
		),
	}));
	// The old cursor stays: the rows between are those pushed out of the first page.
	return { ...data, pages: [{ ...first, next: old?.next ?? first.next }, ...rest] };
}
