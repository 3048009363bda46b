"""
Words in the names of networks that state what kind of network it is.

Frozen: they are changed only with the networks of tests/data/networks.csv, never with logs of attacks. Two of them,
`srv` and `layer?7`, were first seen in such logs.

A word stands for itself, in any case; `*` stands for letters and digits. The first kind with a word in the name counts,
in the order of `WORDS`; a kind of None means that none of the types applies to the network.
"""

import re

NO_TYPE = """
    academ* army banco bank census censys church city?of college council county?of defen[cs]e department?of dod
    driftnet education* exchange foundation government govt health hospital* institut* insurance
    internet?measurement ix library military ministerio ministry museum navy nic onyphe palo?alto police rapid7
    registry research school* shadowserver shodan state?of univ universi*
"""
HOSTING = """
    *cloud* *datacenter* *host *hoster* *hosting* *server *servers *vps bulletproof cdn co-location colo colocation
    content?delivery data?cent* datacamp dedi dedicated game?server* hospedagem hosters hostinger hostkey hostline
    hosts hostwinds iaas idc internet?data?cent* minecraft offshore paas proxies proxy rdp rechenzentrum saas
    seedbox serverel serveri* serverius srv unmanaged vds virtual?machine* virtual?server* virtuali* vpn web?host*

    1337?services 31173?services a2?hosting aeza akamai alexhost alibaba aliyun amazon aruba?s.p.a atlantic.net aws
    azdigi azure baidu beget bkns bluehost buyvm bytedance byteplus cafe24 choopa cloudflare clouvider colocrossing
    constant?company contabo datapacket datashack digitalocean dreamhost e2e?networks equinix exoscale fasthosts
    fastly firstbyte flokinet frantech g-core gabia gcore gmo godaddy google gridscale hetzner hivelocity hostgator
    hostpapa hostpoint huawei?cloud hydra?communications i3d ihor infomaniak interserver iomart ionos ip?volume ipxo
    joes kakao kddi?web kingsoft kinx layer?7 leaseweb limestone linode liquid?web locaweb m247 memset microsoft
    multacom namecheap nano?it naver netcup netmagic new?dream nforce nocix ntt?smartconnect online?s.a.s online?sas
    oracle ovh performive pfcloud ponynet pq?hosting psychz quadranet racknerd rackspace ramnode reg.ru register.it
    reliablesite sakura?internet scaleway seeweb selectel serverion sharktech smileserv softlayer
    stark?industries steadfast strato sunnyvision superdata tencent terrahost timeweb totalserversolutions ucloud
    ukfast unified?layer upcloud velia vhost volcano?engine vultr web?werks wholesale?internet worldstream yandex
    yotta zenlayer
"""
MOBILE = """
    *mobil *mobile *mobiles *mobilkom *mobitel 4g 5g celco celcom cell cellco cellular celular gsm lte m?vil m?viles
    mobilie pcs

    ais axiata banglalink bouygues?telecom celcom dialog?axiata digi?telecommunications dtac econet globe?telecom
    grameenphone hutchison iliad?italia indosat jazz jio kcell kyivstar lifecell maxis megafon metropcs millicom mtn
    ncell ntt?docomo rakuten?mobile robi?axiata safaricom smart?communications smartfren t2?mobile tele2?russia
    telenor?pakistan telkomsel tigo turkcell u?mobile ufone unitel us?cellular verizon?wireless vimpelcom vodacom
    wind?tre xl?axiata zong
"""
ACCESS = """
    *t?l?phon* *telecom* *telefon* *telekom* *telephon* adsl banda?larga broadband cable* catv communication*
    comuni* conecta connect dsl fib?r* fibernet fibra* fibre* ftth internet internet?provider internet?service*
    internett isp kabel* kommuni* net?serv* online provedor* satelit* satellite t?l? tel?fon* telco tele* telnet
    wi-fi wifi wireless wisp

    1&1 a1 aapt act?fibernet airtel alestra algar algerie altice antel at&t atria axtel bahnhof bell?canada
    beltelecom bharat?sanchar biglobe bouygues brisanet bsnl bt bulsatcom cantv cernet charter china169 chinanet
    chunghwa cincinnati claro cnc?group cncgroup cogeco comcast converge corbina cox crtc cyta
    data?communication?business?group dna du elisa emirates entel er-telecom etb etisalat euskaltel fastweb forthnet
    fpt free?sas frontier globe gtd hathway hinet iij iinet inea itissalat izzi jcom kbro kddi korea?telecom kpn
    kt?corporation lg?dacom lg?powercomm link?egypt linkdotnet lumen m1 mahanagar maroc?telecom maxnet mediacom
    megacable meo mgts mobily movistar mts multimedia?polska mweb net?virtua netia nos?comunicacoes ntt numericable
    o2 ono ooredoo optage optimum optus orange ote pldt plusnet proxad proximus ptcl qwest rcn rcs&rds rcs?&?rds
    reliance rogers rostelecom sasktel saudi?tele* sfr shaw singnet sk?broadband sky?uk so-net softbank sony?network
    spark?new?zealand spectrum starhub starlink stc stofa suddenlink sunrise superonline swisscom taiwan?fixed
    talktalk tata?tele* tdc te-as te?data telus tic tietong tim tiscali tm?net tmnet tot totalplay tpg triple?t
    true?internet ttk turknet unicom uninet unitymedia upc v?tal vectra verizon versatel videotron vietnam?posts
    viettel virgin?media vivacom vivo vnpt vocus vodafone volia vtr windstream zain ziggo
"""

ACCESS_FIRST = "google?fiber"
"""Names with a word of another kind in them."""

WORDS = (
    ("RESIDENTIAL", ACCESS_FIRST),
    (None, NO_TYPE),
    ("DATACENTER", HOSTING),
    ("MOBILE", MOBILE),
    ("RESIDENTIAL", ACCESS),
)


def _pattern(words: str) -> re.Pattern[str]:
    """Return a pattern for any of the words; `?` between letters is one letter, a space, or nothing."""
    parts = sorted({re.escape(word).replace(r"\*", r"\w*").replace(r"\?", ".?") for word in words.split()})
    text = "|".join(parts).replace(r"\[", "[").replace(r"\]", "]")
    return re.compile(rf"(?<!\w)(?:{text})(?!\w)", re.IGNORECASE)


PATTERNS = tuple((kind, _pattern(words)) for kind, words in WORDS)


def type_of(name: str) -> str | None:
    """Return the type of a network with this name; None if there is no such word in it."""
    return next((kind for kind, pattern in PATTERNS if pattern.search(name)), None)
