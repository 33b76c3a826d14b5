import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import {
	fetchChanges,
	fetchStudies,
	fetchStudyRows,
	type StudyFilter,
	type StudyPage,
	type StudyRow,
} from "../../dicomweb/studies";
import { arrivals, patchRows } from "../../model/studyList";

const POLL_MS = 1500;

type Pages = InfiniteData<StudyPage, string | null>;

/** Rows that match the filter, page after page, kept up to date while the page is visible. */
export function useStudies(filter: StudyFilter, sort: string, holdStill: boolean) {
	const client = useQueryClient();
	const key = useMemo(() => ["studies", filter, sort] as const, [filter, sort]);
	const query = useInfiniteQuery({
		queryKey: key,
		queryFn: ({ pageParam, signal }) => fetchStudies(filter, sort, pageParam, signal),
		initialPageParam: null as string | null,
		getNextPageParam: (page) => page.next,
		placeholderData: (previous) => previous,
		gcTime: 60_000,
	});
	const rows = useMemo(() => query.data?.pages.flatMap((page) => page.studies) ?? [], [query.data]);
	const [waiting, setWaiting] = useState<StudyPage | null>(null);
	const [offline, setOffline] = useState(false);
	const shown = useRef(rows);
	shown.current = rows;
	const still = useRef(holdStill);
	still.current = holdStill;

	useEffect(() => {
		const stop = new AbortController();
		let after: number | null = null;
		let timer = 0;

		async function follow(changed: string[]): Promise<void> {
			const known = new Set(shown.current.map((row) => row.StudyInstanceUID));
			const seen = changed.filter((uid) => known.has(uid)).slice(0, 100);
			if (seen.length > 0) {
				const fresh = await fetchStudyRows(seen, stop.signal);
				client.setQueryData<Pages>(key, (data) => data && patchRows(data, seen, fresh));
			}
			if (changed.some((uid) => !known.has(uid))) {
				const first = await fetchStudies(filter, sort, null, stop.signal);
				// Nothing moves under the pointer: what is new waits until it has left the list.
				if (still.current && shown.current.length > 0) setWaiting(first);
				else client.setQueryData<Pages>(key, (data) => data && arrivals(data, first));
			}
		}

		async function poll(): Promise<void> {
			try {
				if (document.visibilityState === "visible") {
					const changes = await fetchChanges(after, stop.signal);
					if (after !== null && changes.studies.length > 0) await follow(changes.studies);
					after = changes.sequence;
				}
				setOffline(false);
			} catch {
				if (stop.signal.aborted) return;
				setOffline(true);
			}
			if (!stop.signal.aborted) timer = window.setTimeout(poll, POLL_MS);
		}
		poll();
		return () => {
			stop.abort();
			window.clearTimeout(timer);
			setWaiting(null);
		};
	}, [client, key, filter, sort]);

	useEffect(() => {
		if (holdStill || !waiting) return;
		client.setQueryData<Pages>(key, (data) => data && arrivals(data, waiting));
		setWaiting(null);
	}, [holdStill, waiting, client, key]);

	const newStudies = waiting ? countNew(waiting, rows) : 0;
	const showNew = () => {
		if (waiting) client.setQueryData<Pages>(key, (data) => data && arrivals(data, waiting));
		setWaiting(null);
	};
	return { query, rows, newStudies, showNew, offline, first: query.data?.pages[0] };
}

function countNew(page: StudyPage, rows: StudyRow[]): number {
	const known = new Set(rows.map((row) => row.StudyInstanceUID));
	return page.studies.filter((row) => !known.has(row.StudyInstanceUID)).length;
}
