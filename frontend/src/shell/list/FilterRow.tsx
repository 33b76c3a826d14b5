import * as Popover from "@radix-ui/react-popover";
import { ChevronDown } from "lucide-react";
import type { ReactNode, RefObject } from "react";
import type { StudyFilter } from "../../dicomweb/studies";
import type { Column } from "./columns";
import {
	DATE_PRESETS,
	dateWord,
	FILTER_NAMES,
	type FilterPart,
	MODALITIES,
	STATES,
} from "./filter";

interface Props {
	columns: Pick<Column, "id" | "filter">[];
	filter: StudyFilter;
	onChange: (filter: StudyFilter) => void;
	searchField: RefObject<HTMLInputElement | null>;
}

type FilterProps = Pick<Props, "filter" | "onChange">;

/** The second row of the table's head: one filter under each column that has one. */
export function FilterRow({ columns, filter, onChange, searchField }: Props) {
	return (
		<div className="table-row filter-row">
			{columns.map((column) => (
				<div key={column.id} className="cell">
					{column.filter && (
						<FilterField
							part={column.filter}
							filter={filter}
							onChange={onChange}
							searchField={searchField}
						/>
					)}
				</div>
			))}
		</div>
	);
}

/** The control of one part of the filter. */
export function FilterField({
	part,
	filter,
	onChange,
	searchField,
}: FilterProps & { part: FilterPart; searchField?: RefObject<HTMLInputElement | null> }) {
	if (part === "state") return <StateFilter filter={filter} onChange={onChange} />;
	if (part === "date") return <DateFilter filter={filter} onChange={onChange} />;
	if (part === "modality") return <ModalityFilter filter={filter} onChange={onChange} />;
	const search = part === "q";
	return (
		<input
			ref={search ? searchField : undefined}
			className="filter-field"
			data-active={filter[part].length > 0}
			aria-label={
				search
					? "Search by patient name, patient ID or accession number"
					: `Filter by ${FILTER_NAMES[part]}`
			}
			placeholder={search ? "Name, ID or accession   /" : undefined}
			spellCheck={false}
			autoComplete="off"
			value={filter[part]}
			onChange={(event) => onChange({ ...filter, [part]: event.target.value })}
		/>
	);
}

function StateFilter({ filter, onChange }: FilterProps) {
	return (
		<select
			className="filter-field"
			data-active={filter.state !== ""}
			aria-label="Filter by state"
			value={filter.state}
			onChange={(event) => onChange({ ...filter, state: event.target.value })}
		>
			{STATES.map(([key, word]) => (
				<option key={key} value={key}>
					{word}
				</option>
			))}
		</select>
	);
}

function Choice({
	label,
	word,
	active,
	children,
}: {
	label: string;
	word: string;
	active: boolean;
	children: ReactNode;
}) {
	return (
		<Popover.Root>
			<Popover.Trigger
				className="filter-field filter-button"
				data-active={active}
				aria-label={label}
			>
				<span title={word}>{word}</span>
				<ChevronDown size={12} aria-hidden="true" />
			</Popover.Trigger>
			<Popover.Portal>
				<Popover.Content className="menu filter-menu" align="start" sideOffset={4}>
					{children}
				</Popover.Content>
			</Popover.Portal>
		</Popover.Root>
	);
}

const isoFromDa = (date: string) =>
	date.length === 8 ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : "";
const daFromIso = (date: string) => date.replaceAll("-", "");

function DateFilter({ filter, onChange }: FilterProps) {
	const ranged = filter.date_from !== "" || filter.date_to !== "";
	const end = (part: "date_from" | "date_to", label: string) => (
		<label className="range-line">
			{label}
			<input
				type="date"
				className="field"
				value={isoFromDa(filter[part])}
				onChange={(event) =>
					onChange({ ...filter, date: "", [part]: daFromIso(event.target.value) })
				}
			/>
		</label>
	);
	return (
		<Choice
			label="Filter by study date"
			word={dateWord(filter)}
			active={ranged || filter.date !== ""}
		>
			{DATE_PRESETS.map(([key, name]) => (
				<Popover.Close asChild key={key}>
					<button
						type="button"
						className="menu-item"
						aria-pressed={!ranged && filter.date === key}
						onClick={() => onChange({ ...filter, date: key, date_from: "", date_to: "" })}
					>
						{name}
					</button>
				</Popover.Close>
			))}
			<div className="menu-line" />
			{end("date_from", "from")}
			{end("date_to", "to")}
		</Choice>
	);
}

function ModalityFilter({ filter, onChange }: FilterProps) {
	const chosen = filter.modality;
	const toggle = (modality: string) =>
		onChange({
			...filter,
			modality: chosen.includes(modality)
				? chosen.filter((each) => each !== modality)
				: [...chosen, modality],
		});
	return (
		<Choice
			label="Filter by modality"
			word={chosen.length ? chosen.join(" ") : "any"}
			active={chosen.length > 0}
		>
			<fieldset className="chips">
				<legend className="visually-hidden">Modalities</legend>
				{[...new Set([...MODALITIES, ...chosen])].map((modality) => (
					<button
						type="button"
						key={modality}
						className="chip"
						aria-pressed={chosen.includes(modality)}
						onClick={() => toggle(modality)}
					>
						{modality}
					</button>
				))}
			</fieldset>
			{chosen.length > 0 && (
				<button
					type="button"
					className="menu-item"
					onClick={() => onChange({ ...filter, modality: [] })}
				>
					Any modality
				</button>
			)}
		</Choice>
	);
}
