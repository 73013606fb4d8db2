/**
 * Words, and pairs of words, by which people ask for the usual kinds of work: their workflows describe themselves in one
 * line. How well they do is measured on tasks of others (bench/routing).
 */
export const KIND_WORDS: Readonly<Record<string, string>> = {
  architect:
    "architect architecture design plan propose proposal concept blueprint rfc adr decide " +
    "decision evaluate compare approach strategy alternatives trade_offs tradeoffs outline " +
    "sketch schema data_model contract interfaces boundaries specify specification spec " +
    "define structure feasibility draft how_should lay_out work_out think_through figure_out " +
    "break_down draw_up write_up before_anybody no_code target_picture whether_we what_would " +
    "options recommendation best_way what_would would_it before_we t_code or_just",
  implement:
    "implement build add create develop make feature support allow enable introduce integrate " +
    "show display send offer provide put hook set_up upgrade port migrate let users_should " +
    "should_be we_need endpoint button form field option flag switch script remember generate " +
    "give upload download export import connect extend undo retry webhook " +
    "i_want d_like we_need need_a new must notification mode",
  fix:
    "fix bug error crash broken breaks break fail fails failing failure wrong incorrect issue " +
    "problem defect repair debug exception undefined null typeerror timeout hang freeze leak " +
    "regression flaky slow deadlock does_not does_nothing not_work no_longer any_more since " +
    "why_does why_is twice lost missing red green garbled random resolve cause reproduce " +
    "happens killed find_out left_behind leaves instead off cannot shifted logged_out " +
    "stuck used_to every_time still doesn_t isn_t won_t can_t seconds slower takes keeps sometimes upgrading",
  test:
    "test cover coverage unit_test integration_test regression_suite suite specs verify " +
    "validate prove assert assertions fixtures mocks load_test stress property_based fuzz " +
    "snapshot mutation playwright jest simulate behaves edge_cases qa try_out check_that " +
    "end_to add_specs does_really " +
    "covered run_the whole_suite verified simulate hold proof in_ci",
  review:
    "review code_review audit inspect assess look_over read_through go_through opinion " +
    "feedback comment critique criticise judge quality risk risky security vulnerabilities " +
    "findings severity worries concerns pull_request pr mr diff scan examine rate report_only " +
    "not_change sanity guidelines before_merge go_wrong tell_me any_good bottlenecks " +
    "race_condition holes outdated list_them " +
    "look check_whether pr branch understand honest should_i you_think t_touch sign_off",
  refactor:
    "refactor restructure clean_up cleanup tidy simplify rename extract split move separate " +
    "decouple untangle consolidate merge deduplicate duplicate dead_code unused complexity " +
    "readable mess modernise modernize convert replace reduce nested smaller without_changing " +
    "same_behaviour nothing_should circular everywhere reorganise reorganize turn_into legacy " +
    "get_rid pull_out exchangeable into_folders shared_styles " +
    "identical same no_changes one_place copy_paste nested lines spread",
  document:
    "document documentation docs readme guide explain describe tutorial manual handbook " +
    "changelog release_notes doc_comments docstring jsdoc reference faq runbook howto how_to " +
    "getting_started examples instructions diagram overview wiki help_text usage typos " +
    "write_down troubleshooting glossary migration_guide newcomers page_for new_colleagues " +
    "docstrings wiki_page model_card up_to to_date write_down",
};
