import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
	fetchChanges,
	fetchStudies,
	fetchStudyRows,
	type StudyFilter,
	type StudyPage,
	type StudyRow,
} from "../../dicomweb/studies";
import { arrivals, dropRows, patchRows } from "../../model/studyList";

const POLL_MS = 1500;
const POLL_OFFLINE_MS = 5000;
const MOST_ROWS_AGAIN = 100;

type Pages = InfiniteData<StudyPage, string | null>;
type Key = readonly [string, StudyFilter, string];

const NOBODY: ReadonlySet<string> = new Set();

/** Rows that match the filter, page after page, kept up to date while the page is visible. */
export function useStudies(filter: StudyFilter, sort: string, holdStill: boolean) {
	const client = useQueryClient();
	const key: Key = useMemo(() => ["studies", filter, sort] as const, [filter, sort]);
	const query = useInfiniteQuery({
		queryKey: key,
		queryFn: ({ pageParam, signal }) => fetchStudies(filter, sort, pageParam, signal),
		initialPageParam: null as string | null,
		getNextPageParam: (page) => page.next,
		placeholderData: (previous) => previous,
		gcTime: 60_000,
	});
	const rows = useMemo(() => query.data?.pages.flatMap((page) => page.studies) ?? [], [query.data]);
	const patch = useCallback(
		(fresh: StudyRow[]) =>
			client.setQueryData<Pages>(key, (data) => data && patchRows(data, fresh)),
		[client, key],
	);
	const live = useLive(key, rows, holdStill, patch);
	return { query, rows, patch, first: query.data?.pages[0], ...live };
}

/** What happens to the studies meanwhile. Nothing moves under the pointer: it waits. */
function useLive(
	key: Key,
	rows: StudyRow[],
	holdStill: boolean,
	patch: (fresh: StudyRow[]) => void,
) {
	const client = useQueryClient();
	const [waiting, setWaiting] = useState<StudyPage | null>(null);
	const [gone, setGone] = useState(NOBODY);
	const [offline, setOffline] = useState(false);
	const [changes, setChanges] = useState(0);
	// Survives a change of the filter: the new list is younger than it, so nothing falls between.
	const after = useRef<number | null>(null);
	const shown = useRef(rows);
	shown.current = rows;

	const settle = useCallback(() => {
		client.setQueryData<Pages>(key, (data) => {
			if (!data) return data;
			const kept = gone.size > 0 ? dropRows(data, gone) : data;
			return waiting ? arrivals(kept, waiting) : kept;
		});
		setWaiting(null);
		setGone(NOBODY);
	}, [client, key, gone, waiting]);

	useEffect(() => {
		if ((waiting || gone.size > 0) && (!holdStill || shown.current.length === 0)) settle();
	}, [holdStill, waiting, gone, settle]);

	useEffect(() => {
		const [, filter, sort] = key;
		const stop = new AbortController();
		let timer = 0;

		async function follow(changed: string[]): Promise<void> {
			setChanges((known) => known + 1);
			const known = new Set(shown.current.map((row) => row.StudyInstanceUID));
			const seen = changed.filter((uid) => known.has(uid)).slice(0, MOST_ROWS_AGAIN);
			if (seen.length > 0) {
				const fresh = await fetchStudyRows(seen, stop.signal);
				patch(fresh);
				const left = new Set(fresh.map((row) => row.StudyInstanceUID));
				const lost = seen.filter((uid) => !left.has(uid));
				if (lost.length > 0) setGone((before) => new Set([...before, ...lost]));
			}
			if (changed.some((uid) => !known.has(uid)))
				setWaiting(await fetchStudies(filter, sort, null, stop.signal));
		}

		async function poll(): Promise<void> {
			let pause = POLL_MS;
			try {
				if (document.visibilityState === "visible") {
					const changes = await fetchChanges(after.current, stop.signal);
					if (after.current === null) {
						// What arrived between the first list and this number is in neither.
						setWaiting(await fetchStudies(filter, sort, null, stop.signal));
					} else if (changes.studies.length > 0) await follow(changes.studies);
					after.current = changes.sequence;
					if (changes.more) pause = 0;
				}
				setOffline(false);
			} catch {
				if (stop.signal.aborted) return;
				pause = POLL_OFFLINE_MS;
				setOffline(true);
			}
			if (!stop.signal.aborted) timer = window.setTimeout(poll, pause);
		}
		poll();
		return () => {
			stop.abort();
			window.clearTimeout(timer);
			setWaiting(null);
			setGone(NOBODY);
		};
	}, [key, patch]);

	return {
		newStudies: waiting ? countNew(waiting, rows) : 0,
		showNew: settle,
		gone,
		offline,
		changes,
	};
}

function countNew(page: StudyPage, rows: StudyRow[]): number {
	const known = new Set(rows.map((row) => row.StudyInstanceUID));
	return page.studies.filter((row) => !known.has(row.StudyInstanceUID)).length;
}
