import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import type { Elsewhere, Transfer } from "../../dicomweb/peers";
import {
	fetchSession,
	markRead,
	type SavedFilter,
	type StudyFilter,
	type StudyRow,
	studyQuery,
} from "../../dicomweb/studies";
import { Notice } from "../Notice";
import { columnsOf } from "./columns";
import { EmptyArchive, NoMatch } from "./EmptyList";
import { FilterRow } from "./FilterRow";
import { asFilter, FilterTabs } from "./FilterTabs";
import { filterFromSearch, isFiltered, NO_FILTER, sameFilter } from "./filter";
import { ListBar } from "./ListBar";
import { SendDialog, SendStrip } from "./SendDialog";
import { usePeers } from "./SourceMenu";
import { StudyPanel } from "./StudyPanel";
import { StudyTable } from "./StudyTable";
import { UploadStrip, useUpload } from "./Upload";
import { useKept } from "./useKept";
import { useListKeys } from "./useListKeys";
import { useListPreferences } from "./useListPreferences";
import { useSavedFilters } from "./useSavedFilters";
import { useSettled } from "./useSettled";
import { useStudies } from "./useStudies";
import "./list.css";

const SORT_AT_FIRST = "-received_at";

export default function StudyListPage({
	onSource,
}: {
	onSource: (source: Elsewhere | null) => void;
}) {
	const navigate = useNavigate();
	const { data: session } = useQuery({
		queryKey: ["session"],
		queryFn: ({ signal }) => fetchSession(signal),
		staleTime: 300_000,
	});
	const { filter, setFilter, sort, setSort, asked } = useAsked();
	const { columns: columnIds, setColumns, preferences, keep } = useListPreferences();
	const columns = useMemo(() => columnsOf(columnIds), [columnIds]);
	const [panelOpen, setPanelOpen] = useKept("list.panel", window.innerWidth >= 1600);
	const [selected, setSelected] = useState<string | null>(null);
	const [keysOpen, setKeysOpen] = useState(false);
	const [problem, setProblem] = useState("");
	const [pointerInside, setPointerInside] = useState(false);
	const searchField = useRef<HTMLInputElement>(null);
	const fileField = useRef<HTMLInputElement>(null);

	const studies = useStudies(asked, sort, pointerInside);
	const { rows, first, query } = studies;
	const saved = useSavedFilters(studies.changes, preferences, keep);
	const upload = useUpload(session?.permissions.includes("store_instances") ?? false);
	const peers = usePeers(session);
	const [sourcesOpen, setSourcesOpen] = useState(false);
	const [sending, setSending] = useState<StudyRow | null>(null);
	const [sent, setSent] = useState<Transfer | null>(null);
	const selectedRow = rows.find((row) => row.StudyInstanceUID === selected);
	const position = rows.findIndex((row) => row.StudyInstanceUID === selected);

	const open = useCallback(
		(uid: string, newWindow = false) => {
			const address = `/viewer/${encodeURIComponent(uid)}`;
			if (newWindow) window.open(address, "_blank", "noopener");
			else navigate(address);
		},
		[navigate],
	);
	const select = (index: number) => {
		const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
		if (row) setSelected(row.StudyInstanceUID);
	};
	const mark = async (row: StudyRow) => {
		try {
			studies.patch([await markRead(row.StudyInstanceUID, row.state !== "read")]);
			setProblem("");
		} catch (error) {
			setProblem(error instanceof Error ? error.message : String(error));
		}
	};
	const choose = (tab: SavedFilter | null) => {
		setFilter(tab ? asFilter(tab) : NO_FILTER);
		if (tab?.sort) setSort(tab.sort);
	};
	const filters = (
		<FilterRow columns={columns} filter={filter} onChange={setFilter} searchField={searchField} />
	);
	useListKeys({
		move: (by) => select(position < 0 ? 0 : position + by),
		ends: (end) => select(end === "first" ? 0 : rows.length - 1),
		open: (newWindow) => selected && open(selected, newWindow),
		preview: () => {
			if (!selectedRow) select(0);
			setPanelOpen((is) => !is || !selectedRow);
		},
		nextUnread: () => {
			const unread = rows.findIndex((row, index) => index > position && row.state === "complete");
			if (unread >= 0) select(unread);
			else more();
		},
		mark: () => selectedRow && void mark(selectedRow),
		...(peers && {
			send: () => selectedRow && setSending(selectedRow),
			archives: () => setSourcesOpen(true),
		}),
		tab: (by) => {
			const tabs = [null, ...saved.filters];
			const now = tabs.findIndex((tab) => sameFilter(tab ? asFilter(tab) : NO_FILTER, filter));
			choose(tabs[(Math.max(now, 0) + by + tabs.length) % tabs.length] ?? null);
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
	const { isError, refetch } = query;
	const { offline } = studies;
	useEffect(() => {
		if (isError && !offline) void refetch();
	}, [isError, offline, refetch]);

	const empty = first !== undefined && rows.length === 0;
	return (
		<div className="list-page" data-dropping={upload.dropping}>
			<ListBar
				session={session}
				count={countText(first?.total, first?.total_is_exact)}
				offline={offline}
				newStudies={studies.newStudies}
				onShowNew={studies.showNew}
				onRefresh={() => void query.refetch()}
				columns={columns.map((column) => column.id)}
				onColumns={setColumns}
				panelOpen={panelOpen}
				onPanel={() => setPanelOpen((is) => !is)}
				onChooseFiles={() => fileField.current?.click()}
				keysOpen={keysOpen}
				onKeys={setKeysOpen}
				peers={peers}
				onSource={onSource}
				sourcesOpen={sourcesOpen}
				onSources={setSourcesOpen}
			/>
			<FilterTabs
				filters={saved.filters}
				filter={filter}
				columns={columns}
				onChange={setFilter}
				onChoose={choose}
				keep={(name) => saved.keep(name, filter, sort === SORT_AT_FIRST ? "" : sort)}
				forget={saved.forget}
				move={saved.move}
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
					columns={columns}
					onColumns={setColumns}
					rows={rows}
					gone={studies.gone}
					sort={sort}
					onSort={setSort}
					selected={selected}
					onSelect={setSelected}
					onOpen={open}
					onEnd={more}
					onPointerInside={setPointerInside}
					filters={filters}
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
				{panelOpen && (
					<StudyPanel
						row={selectedRow}
						session={session}
						onOpen={open}
						onMark={(row) => void mark(row)}
						onSend={peers ? setSending : undefined}
						onClose={() => setPanelOpen(false)}
					/>
				)}
			</div>
			{problem && (
				<div className="problem-strip" role="alert">
					<span className="danger">{problem}</span>
					<button type="button" className="button" onClick={() => setProblem("")}>
						Close
					</button>
				</div>
			)}
			{sending && peers && (
				<SendDialog
					row={sending}
					peers={peers}
					onSent={(transfer) => {
						setSent(transfer);
						setSending(null);
					}}
					onClose={() => setSending(null)}
				/>
			)}
			{sent && <SendStrip sent={sent} onClose={() => setSent(null)} />}
			{upload.dropping && <div className="drop-hint">Drop to store these files</div>}
			{upload.running && (
				<UploadStrip running={upload.running} onCancel={upload.cancel} onDismiss={upload.dismiss} />
			)}
		</div>
	);
}

/** Filter and order: what the fields show, what the server is asked, and the address between. */
function useAsked() {
	const [filter, setFilter] = useState<StudyFilter>(() => filterFromSearch(location.search));
	const [sort, setSort] = useState(
		() => new URLSearchParams(location.search).get("sort") ?? SORT_AT_FIRST,
	);
	const asked = useSettled(filter, 150);
	useEffect(() => {
		document.title = "Studies · pacsweb";
		const search = studyQuery(asked, sort);
		if (sort === SORT_AT_FIRST) search.delete("sort");
		const text = search.toString();
		window.history.replaceState(window.history.state, "", text ? `/?${text}` : "/");
	}, [asked, sort]);
	return { filter, setFilter, sort, setSort, asked };
}

function countText(total: number | undefined, exact: boolean | undefined): string {
	if (total === undefined) return "";
	const number = total.toLocaleString();
	return exact ? `${number} ${total === 1 ? "study" : "studies"}` : `more than ${number} studies`;
}
