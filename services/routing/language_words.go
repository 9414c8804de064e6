package routing

// functionWords lists the commonest words of the languages in Latin script: articles, pronouns, prepositions, auxiliaries and what people
// write to a support desk. A word may stand in several lists; it then speaks for all of them.
//
//nolint:misspell // the words are of twenty languages
var functionWords = map[language]string{
	english: `the of and to in is you that it he was for on are as with his they i at be this have from or one had by not but what all were when we there can an your
		which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than been its
		who now people my over did down only way find use may water long am where after back little just any please help me our set remind show tell does why thank thanks hello
		cannot don doesn isn get got want need should still also because us again new day today tomorrow love good know think don't going off near let been any since`,
	german: `der die das und ist in den von zu mit sich des auf für nicht ein eine einen einem einer es im dem als auch an er hat aus bei sie nach wird war wie werden oder
		aber man noch nur so wenn am ich du wir ihr mir mich dir dich uns euch mein meine meinen meiner dein ihre ihren ihrem kein keine keinen kann können muss müssen soll sollte bitte danke hallo
		sehr geehrte damen herren mehr schon über vom zum zur bis durch haben habe hast sind bin seit vor wieder immer jetzt heute morgen was wer wo warum wann hier dort dann
		diese dieser dieses welche nichts alles gut doch mal ja nein um ob ohne gegen unter zwischen weil dass daß ab wurde wurden würde gibt geht mach alle allem allen neue neuen neues einmal etwas etwa zeit beim unser unsere sagen deine deinen`,
	french: `le la les de des du un une et est en que qui dans ce il elle pour pas au aux sur ne se par plus avec son sa ses je vous nous mais ou où si leur y été être ont
		fait tout comme faire cette ces mon ma mes ton ta tes notre votre nos vos suis es sont avons avez ai as était bonjour merci bien très aussi sans peut peux même quand quel quelle quoi comment
		pourquoi ça cela celui c j d l n s qu t lui eux moi toi dont encore trop rien jamais toujours après avant depuis chez entre sous vers oui non deux être aujourd hui demain faut veux`,
	spanish: `el la los las de del que y a en un una unos unas ser se no haber por con su para como estar tener le lo todo pero más hacer o poder este esta esto ese esa eso
		ir otro me mi mis tu tus te nos es son soy está están estoy fue era ha han he hay muy sin sobre también hasta donde quien desde cuando porque qué cómo cuál yo ella ellos nosotros usted ustedes
		si sí ya al hola gracias favor puedo puede quiero tengo tiene hoy mañana bien aquí ahora nada solo sólo siempre nunca mejor día vida todos contra entre ni`,
	italian: `il lo la i gli le di a da in con su per tra fra un uno una e è che non si sono ho ha hanno del della dei delle dello al alla ai alle dal dalla nel nella nei
		sul sulla come ma anche se più o ci mi ti vi ne io tu lui lei noi voi loro mio mia miei tuo tua suo sua questo questa questi queste quello quella cosa chi quando dove perché essere fare
		fatto stato era sei siamo siete abbiamo avete molto tutto tutti solo già ancora sempre oggi domani ora grazie buongiorno salve posso può puoi vorrei c l d un' dell all nell sull cui così poi
		meno senza dopo prima ogni qui sta sto fa tutte miei mie tue sue`,
	portuguese: `o a os as de do da dos das em no na nos nas um uma uns umas e é que não para por com se mais como mas foi ao aos à às ele ela eles elas eu você vocês nós me te lhe
		meu minha meus minhas seu sua seus suas este esta isto esse essa isso aquele ou quando muito já também só pelo pela até sem mesmo depois ser ter está estão estou tem têm tinha são era há
		olá obrigado obrigada bom dia boa favor posso pode quero preciso hoje amanhã agora aqui nada tudo sempre nunca porque porquê quem onde qual vai vou fazer pra pro tá gente num`,
	dutch: `de het een en van ik te dat die in je niet is zijn op aan met als voor had er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot mij uit der
		daar haar naar heb hoe heeft hebben deze u want nog zal me zij nu ge geen omdat iets worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens hier wie werd
		altijd wordt wezen kunnen ons zelf tegen na wil kon niets uw iemand geweest andere graag hallo bedankt dank wij we jij jullie mag vandaag morgen waarom wanneer waar welke goed moeten
		alsjeblieft mijn onze jouw nieuwe weer even heel`,
	danish: `og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu over da fra du ud sin dem os op man hans hvor eller
		hvad skal selv her alle vil blev kunne ind når være dog noget ville jo deres efter ned skulle denne end dette mit også under have dig anden hende mine alt meget sit sine vor mod disse
		hvis din nogle hos blive mange ad bliver hendes været jer sådan hej tak venligst kan hvornår hvordan hvorfor gør dag morgen alle klokken aften igen`,
	swedish: `och det att i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du henne då sin nu har inte hans honom skulle hennes där min man ej
		vid kunde något från ut när efter upp vi dem vara vad över än dig kan sina här ha mot alla under någon eller allt mycket sedan ju denna själv detta åt utan varit hur ingen mitt ni bli blev
		oss din dessa några deras blir mina samma vilken er sådan vår blivit dess inom mellan sådant varför varje hej tack snälla idag imorgon behöver vill finns`,
	norwegian: `og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har om vi min mitt ha hadde hun nå over da ved fra du ut sin dem oss opp
		man kan hans hvor eller hva skal selv her alle vil bli ble blitt kunne inn når være kom noen noe ville dere deres kun ja etter ned skulle denne for deg si sine sitt mot å meget hvorfor
		dette disse uten hvordan ingen din ditt blir samme hvilken hvilke sånn hei takk vennligst mye fordi enn bare også hvem jeg`,
	finnish: `ja on ei että se hän oli en joka mutta niin kun mitä tämä kuin ovat ole olla minä sinä me te he minun sinun hänen meidän myös jos vain nyt sitten tai sekä mikä missä miksi
		miten voi voin olen olet olemme ollut kaikki hyvä kiitos hei moi tänään huomenna vielä jo koska kanssa ilman mukaan jälkeen ennen sen siitä tästä siinä tässä mulle minulle kiitoksia terve
		pitää haluan tarvitsen onko eikä vaan sitä niitä jotka jonka`,
	polish: `i w nie na się z że do to jest jak o co ale po tak za od jego jej tylko czy są być był była było mnie mi ja ty on ona my wy oni dla przez przy pod nad bez gdy już może
		jeszcze też które który która tego tym tej ten ta te mam masz ma mamy mój moja moje proszę dziękuję dzień dobry witam kiedy gdzie dlaczego jaki jaka jakie dziś dzisiaj jutro bardzo
		wszystko nic tu tam teraz więc lub oraz ponieważ mogę można chcę pan pani`,
	czech: `a v se na je že to s z do o i jsem si ale jak za pro by tak po jako od ve co jsou k jen u když být byl byla bylo mě mi já ty on ona my vy oni už ještě také nebo má mám
		můj moje který která které toho tom tím ten ta prosím děkuji dobrý den ahoj kdy kde proč jaký dnes zítra velmi všechno nic tady teď protože mohu můžu chci může není nejsou před při bez`,
	hungarian: `a az és hogy nem is egy ez van meg de ha csak már mint vagy azt ezt volt lesz én te ő mi ti ők nekem neked mert még most itt ott aki ami amely minden semmi nagyon jó kérem
		köszönöm szia üdvözlöm mikor hol miért hogyan ma holnap kell lehet tud tudom akarok szeretnék után előtt között alatt fel le ki be el nincs vannak ezért`,
	romanian: `și si în a la de cu pe nu este e că un o din ce se care pentru mai am ai are au sunt fi fost eu tu el ea noi voi ei meu mea mei tău sa său lui lor dar sau dacă cum când unde
		acest această aceste acela asta foarte bine mulțumesc bună ziua salut vă rog vreau pot poate trebuie azi mâine acum aici tot toate nimic doar fără după înainte între prin către fac îmi`,
	turkish: `ve bir bu da de için ile çok ne o ben sen biz siz onlar mi mı mu mü ama gibi daha var yok değil olan olarak kadar sonra önce şu her şey ki benim senin bana sana beni seni
		ya veya çünkü nasıl neden nerede zaman hangi bugün yarın şimdi lütfen teşekkürler merhaba selam iyi kötü oldu olur olacak istiyorum gerek lazım en hiç bütün tüm bazı bizim sizin
		onun ederim rica tekrar hala hâlâ olmadı oluyor`,
	indonesian: `yang dan di ini itu dengan untuk tidak dari dalam akan pada ke saya kamu anda dia mereka kami kita adalah juga ada oleh karena bisa dapat sudah telah belum atau seperti
		lebih apa apakah siapa bagaimana mengapa kapan mana tolong terima kasih halo hari besok sekarang sini sana semua hanya jika kalau tetapi tapi saat setelah sebelum aku ku nya buat jam pagi malam minggu masalah mohon
		tanggal nomor baru lagi hanya dimana kenapa gimana nggak gak banget dong sih lagi biar sampai`,
	lithuanian: `ir yra kad į su iš ne tai aš tu jis ji mes jūs jie kaip bet ar už nuo prie per po mano tavo jo jos mūsų jūsų kas ką kur kada kodėl kiek šiandien rytoj dabar čia ten labai
		visi viskas nieko tik jau dar ačiū prašau labas sveiki noriu galiu gali reikia bus buvo būti turiu yra apie šį šią mane man tau dėl arba jei kurie kuri kuris visus visas mano
		savo šios šio valandą ryto vakaro dieną`,
	croatian: `i u je na da se za su od sa s o a ne što šta kao ali ili kako iz do po bi to ja ti on ona mi vi oni moj moja moje tvoj njegov koji koja koje sam si smo ste jesu nije
		nisam bio bila bilo biti će ću ćeš ćemo hoće hoću mogu može možete imam ima nema kad kada gde gdje zašto koliko danas sutra sada ovde ovdje tamo vrlo veoma sve ništa samo već još
		hvala molim dobar dan zdravo bok me mene te tebe mu im ovaj ova ovo taj ta li pre prije posle poslije vreme vrijeme dana moje svi sva ujutru večeras podne`,
	catalan: `el la els les de del dels i a en un una que per amb no es és son són està estan jo tu ell ella nosaltres vosaltres meu meva seu seva aquest aquesta això allò però com quan on
		perquè molt més també només ara aquí avui demà gràcies hola bon dia si us plau vull puc pot tinc té hi ha ho al als pel pels dins sense fins des seva li`,
}

// endings are those of longer words that are in no list: weaker signs, but every text has some.
var endings = map[language]string{
	english:    `ing ed ly tion ness ment ght ould able ful`,
	german:     `ung ungen lich isch keit heit schen chen cht ieren iert tzt mmt nnt gen sten`,
	french:     `eux aux eau eaux aire ique ment tion eur eurs ette elle ée ées és ez oir ais ait ons ont ille ges`,
	spanish:    `ción ciones dad dades ando iendo mente ero eros illo illa amos emos aron ado ados idos`,
	italian:    `zione zioni ità tto tta tti tte glia glie gli ggio zza zzo ando endo mente are ere ire ato ata ati llo lla lle lli sca nno cco oni`,
	portuguese: `ção ções ões ão ade ando endo indo inho inha eiro eira mente ado ada ei ou amos`,
	dutch:      `ijk lijk ing ingen aar oor aan ijn ijd elen eren sje acht echt ocht uur aat oek ijf`,
	danish:     `erne ede else elser eren ende ning ninger erer ør æg`, swedish: `arna orna erna ade ning ningen het lig ligt skap ar or nar ll`,
	norwegian: `ene ende else elser eren ning ninger het ig lig ett erer`, finnish: `nen ssa ssä sta stä lla llä lle ista istä aan ään iin uksen mme tte vat vät een`,
	polish: `ów ości ość owy owa owe anie enie ach ami emu ego iem ych ymi cja cje łem łam`, czech: `ého ému ých ými ost osti ání ení ovat ech ím ou ám uje`,
	hungarian: `ság ség nak nek ban ben val vel hoz hez ból ből ról ről tól től ott ett unk ünk ás és`, romanian: `ul ului ile ilor ește esc ează ție ții are ea uri lor`,
	turkish: `lar ler lık lik da de dan den ın in un ün yor ım im um üm mak mek dı di du dü acak ecek sı si`, indonesian: `kan nya lah kah ang ung ada rang`,
	lithuanian: `as is us ys ai iai ų os ės ti uoti ius imas ymas ija ius ą į ę`, croatian: `ih im ima ama ao io la li lo ti iti ati sti nja nje ski ska om em ju jem`,
	catalan: `ció cions tat ment ar ir at ada ets ot ix`,
}
