import { useQuery } from "@tanstack/react-query";
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { fetchSession, type StudyFilter, studyQuery } from "../../dicomweb/studies";
import { Notice } from "../Notice";
import { COLUMNS, FIRST_SHOWN } from "./columns";
import { EmptyArchive, NoMatch } from "./EmptyList";
import { FilterRow } from "./FilterRow";
import { filterFromSearch, isFiltered, NO_FILTER } from "./filter";
import { ListBar } from "./ListBar";
import { useKept } from "./useKept";
import { useListKeys } from "./useListKeys";
import { useStudies } from "./useStudies";
import { StudyPanel } from "./StudyPanel";
import { StudyTable } from "./StudyTable";
import { UploadStrip, useUpload } from "./Upload";
import "./list.css";

const SORT_AT_FIRST = "-received_at";

export default function StudyListPage() {
	const navigate = useNavigate();
	const { data: session } = useQuery({
		queryKey: ["session"],
		queryFn: ({ signal }) => fetchSession(signal),
		staleTime: 300_000,
	});
	const [filter, setFilter] = useState<StudyFilter>(() => filterFromSearch(location.search));
	const [sort, setSort] = useState(
		() => new URLSearchParams(location.search).get("sort") ?? SORT_AT_FIRST,
	);
	const [columns, setColumns] = useKept<string[]>("list.columns", FIRST_SHOWN);
	const [panelOpen, setPanelOpen] = useKept("list.panel", window.innerWidth >= 1600);
	const [theme, setTheme] = useKept("theme", "dark");
	const [opened, setOpened] = useKept<string[]>("list.opened", []);
	const [selected, setSelected] = useState<string | null>(null);
	const [keysOpen, setKeysOpen] = useState(false);
	const [pointerInside, setPointerInside] = useState(false);
	const searchField = useRef<HTMLInputElement>(null);
	const fileField = useRef<HTMLInputElement>(null);

	const asked = useDebounced(filter, 150);
	const studies = useStudies(asked, sort, pointerInside);
	const { rows, first, query } = studies;
	const upload = useUpload(session?.permissions.includes("store_instances") ?? false);
	const shown = useMemo(() => COLUMNS.filter((column) => columns.includes(column.id)), [columns]);
	const selectedRow = rows.find((row) => row.StudyInstanceUID === selected);

	useEffect(() => {
		document.documentElement.dataset.theme = theme;
		document.title = "Studies · pacsweb";
	}, [theme]);
	useEffect(() => {
		const search = studyQuery(asked, sort);
		if (sort === SORT_AT_FIRST) search.delete("sort");
		const text = search.toString();
		window.history.replaceState(window.history.state, "", text ? `/?${text}` : "/");
	}, [asked, sort]);

	const open = useCallback(
		(uid: string, newWindow = false) => {
			setOpened((known) => [uid, ...known.filter((each) => each !== uid)].slice(0, 2000));
			if (newWindow) window.open(`/viewer/${uid}`, "_blank", "noopener");
			else navigate(`/viewer/${uid}`);
		},
		[navigate, setOpened],
	);
	const select = (index: number) => {
		const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
		if (row) setSelected(row.StudyInstanceUID);
	};
	const position = rows.findIndex((row) => row.StudyInstanceUID === selected);
	useListKeys({
		move: (by) => select(position < 0 ? 0 : position + by),
		ends: (end) => select(end === "first" ? 0 : rows.length - 1),
		open: (newWindow) => selected && open(selected, newWindow),
		preview: () => setPanelOpen((is) => !is),
		nextUnread: () => {
			const unread = rows.findIndex(
				(row, index) =>
					index > position && row.state === "complete" && !opened.includes(row.StudyInstanceUID),
			);
			if (unread >= 0) select(unread);
		},
		filters: () => document.querySelector<HTMLElement>(".filter-row .filter-field")?.focus(),
		refresh: () => void query.refetch(),
		search: (text) => {
			searchField.current?.focus();
			if (text) setFilter((known) => ({ ...known, q: known.q + text }));
		},
		help: () => setKeysOpen(true),
		clear: () => setFilter(NO_FILTER),
	});
	const more = useCallback(() => {
		if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
	}, [query.hasNextPage, query.isFetchingNextPage, query.fetchNextPage]);

	const empty = first !== undefined && rows.length === 0;
	return (
		<div className="list-page" data-dropping={upload.dropping}>
			<ListBar
				session={session}
				count={countText(first?.total, first?.total_is_exact)}
				offline={studies.offline}
				newStudies={studies.newStudies}
				onShowNew={studies.showNew}
				columns={columns}
				onColumns={setColumns}
				panelOpen={panelOpen}
				onPanel={() => setPanelOpen((is) => !is)}
				onChooseFiles={() => fileField.current?.click()}
				keysOpen={keysOpen}
				onKeys={setKeysOpen}
				theme={theme}
				onTheme={() => setTheme(theme === "light" ? "dark" : "light")}
			/>
			<input
				ref={fileField}
				type="file"
				multiple
				hidden
				aria-label="DICOM files to add"
				onChange={(event) => {
					void upload.send([...(event.target.files ?? [])]);
					event.target.value = "";
				}}
			/>
			<div className="list-main">
				<StudyTable
					columns={shown}
					rows={rows}
					sort={sort}
					onSort={setSort}
					selected={selected}
					onSelect={setSelected}
					onOpen={open}
					onEnd={more}
					onPointerInside={setPointerInside}
					filters={
						<FilterRow
							columns={shown.map((column) => column.id)}
							filter={filter}
							onChange={setFilter}
							searchField={searchField}
						/>
					}
				>
					{query.isError && rows.length === 0 && (
						<Notice title="The studies cannot be listed.">
							<p>{query.error.message}</p>
							<button type="button" className="button" onClick={() => void query.refetch()}>
								Try again
							</button>
						</Notice>
					)}
					{empty && first.archive_is_empty && session && (
						<EmptyArchive session={session} onChooseFiles={() => fileField.current?.click()} />
					)}
					{empty && !first.archive_is_empty && isFiltered(asked) && (
						<NoMatch page={first} filter={filter} onChange={setFilter} />
					)}
				</StudyTable>
				{panelOpen && selectedRow && <StudyPanel row={selectedRow} onOpen={open} />}
			</div>
			{upload.dropping && <div className="drop-hint">Drop to store these files</div>}
			{upload.running && (
				<UploadStrip running={upload.running} onCancel={upload.cancel} onDismiss={upload.dismiss} />
			)}
		</div>
	);
}

function countText(total: number | undefined, exact: boolean | undefined): string {
	if (total === undefined) return "";
	const number = total.toLocaleString();
	return exact ? `${number} ${total === 1 ? "study" : "studies"}` : `more than ${number} studies`;
}

/** The value once it has been still for a moment, so that typing does not ask for every letter. */
function useDebounced<T>(value: T, milliseconds: number): T {
	const [settled, setSettled] = useState(value);
	useEffect(() => {
		const timer = window.setTimeout(() => setSettled(value), milliseconds);
		return () => window.clearTimeout(timer);
	}, [value, milliseconds]);
	return useDeferredValue(settled);
}
