"""Words by which people name the class without the disease, and what those words must not be mistaken for.

The texts hold words as people write them; :mod:`radlens.dataset.class_names` folds case and accents on both sides.
"""

from __future__ import annotations

# Wherever one of these stands in a name, the class is the healthy one.
# English, with misspellings that published sets have
_ENGLISH = """
normal normals normally nomal normall healthy healthful health healty heathy negative negatives neg control controls
unaffected uninfected undiseased uninjured uninvolved unremarkable unruptured unfractured unparasitized nondiseased
noninfected nilm wnl
"""
# Spanish, Portuguese, Italian, French, Romanian
_ROMANCE = """
normales normalidad sano sana sanos sanas saludable saludables negativo negativa negativos negativas controles
saudável saudáveis sadio sadia sadios sadias normais controle sani sane normale normali negativi controllo controlli
sain saine sains saines normaux négatif négative négatifs négatives témoin témoins contrôle contrôles sănătos sănătoși
negativ
"""
# German, Dutch, Danish, Norwegian, Swedish, Finnish
_GERMANIC = """
gesund gesunde gesunder gesundes normalbefund normaler unauffällig unauffaellig unauffällige unauffaellige
unauffälliger kontrolle kontrollen kontrollgruppe befundlos gezond gezonde normaal negatief negatieve sund sunde rask
raske frisk friska friske sunn terve terveet normaali negatiivinen
"""
# Polish, Czech, Hungarian, Turkish, Indonesian, Vietnamese
_OTHER_LATIN = """
zdrowy zdrowa zdrowe zdrowi norma prawidłowy prawidłowa prawidłowe prawidlowy ujemny ujemna zdravý zdravá zdravé
zdraví normální negativní kontrola egészséges normális negatív sağlıklı sağlam negatif sehat sihat thường khỏe
"""
# Russian, Ukrainian, Greek, Hebrew, Arabic, Persian, Hindi
_OTHER_SCRIPTS = """
здоровый здоровая здоровое здоровые здоров здорова норма нормальный нормальная нормальное нормальные контроль
отрицательный отрицательная отрицательные здоровий здорові нормальний негативний φυσιολογικό φυσιολογικά φυσιολογικός
υγιής υγιείς υγιές αρνητικό αρνητικά תקין תקינים בריא בריאים שלילי طبيعي طبيعية سليم سليمة سلبي سالم نرمال طبیعی منفی
सामान्य स्वस्थ नकारात्मक
"""
HEALTHY = " ".join((_ENGLISH, _ROMANCE, _GERMANIC, _OTHER_LATIN, _OTHER_SCRIPTS))
# These mean it only when nothing else stands in the name.
HEALTHY_ALONE = """
no none nil absent absence absente ausente without n f false falsch nein non nee não nie нет clear clean good ok okay
intact cn nc hc nl nor typical background asymptomatic well
"""
# A finding, and a harmless one.
BENIGN = """
benign benigns bengin bening benigno benigna benignos benignas bénin bénigne benigne gutartig gutartige goedaardig
łagodny łagodna łagodne доброкачественный доброкачественная доброкачественные
"""
# All that is not of the other class.
REST = """
other others rest remaining else otro otros andere autre autres outros altro altri inne другие
"""
# That something is wrong is said without saying which disease.
AFFECTED = """
abnormal abnormals abnormality abnormalities positive positives pos diseased disease sick ill affected infected
parasitized parasitised unhealthy pathological pathologic pathology anomalous anomaly malignant malignants maligno
maligna malignos malin maligne bösartig bösartige kwaadaardig positivo positiva positivos positif positivi enfermo
enferma enfermos doente doentes malato malati malade malades krank kranke auffällig ziek zieke abnormale anormal
anormales anormale anormali abnorm abnormaal chory chora chore dodatni больной больные патология положительный
злокачественный nemocný hasta sakit असामान्य
"""
# These mean it only when nothing else stands in the name.
AFFECTED_ALONE = """
yes y true present presence case cases ja oui si sim sí да evet wahr t p defective bad
"""
# Before another word, it is said not to be there.
NEGATIONS = """
não no non not without w/o wo sin sem senza sans ohne kein keine keinen zonder geen utan uden uten ingen inga bez brak
nie без нет не nessun nessuna aucun aucune pas fără tanpa không absence غير بدون
"""
# What may stand before the name of a finding that is there.
WITH = """
with w con com mit avec met med has having z с
"""
# "Non-small-cell" is not the absence of small cells, and of "not gradable" nothing can be said: before these
# words a negation is part of the name.
NAMED_WITH_NON = """
small hodgkin hodgkins proliferative st stemi union specific mass invasive muscle ossifying alcoholic accidental
tuberculous viral bacterial diagnostic gradable gradeable readable interpretable sure known available applicable label
labels labelled labeled annotated specified classified image images
"""
# Findings that people write in one word with "no" or "non", such as notumor.
FINDINGS = """
tumor tumors tumour tumours cancer cancerous finding findings pneumonia covid covid19 disease diseases mask fracture
fractured fractures dr tb lesion lesions hemorrhage haemorrhage bleed bleeding mass masses defect defects disorder
stroke cataract glaucoma demented dementia abnormality abnormalities polyp polyps infection infected melanoma symptom
symptoms nodule nodules smoker smokers malignant malignancy referable diabetic pathology anomaly injury pneumothorax
effusion cardiomegaly opacity edema oedema tuberculosis autistic metastasis calcification stone stones cyst cysts
aneurysm embolism pe copd afib arrhythmia ulcer
"""
# What is looked at, and how it is filed, says nothing of health.
FILLERS = """
lung lungs chest thorax thoracic brain head eye eyes fundus retina retinal skin tissue tissues cell cells breast
kidney kidneys bone bones knee knees hip spine heart cardiac liver colon teeth tooth oral image images img imgs pic
pics picture pictures photo photos scan scans slice slices xray xrays x ray rays radiograph radiographs cxr ct mri mr
us ultrasound oct patient patients person persons people subject subjects individual individuals group class label
category type grade stage level score kl birads folder dir data dataset set sets sample samples case cases file files
jpg jpeg png dicom dcm tif all only new old resized cropped augmented aug processed train training test testing val
validation s the of for a pulmón pulmones pulmão pulmões polmone polmoni poumon poumons lunge lungen płuca легкие
легких paciente pacientes pazienti kasus dados imagenes
"""

# Names of diseases, and of what is not known, that hold one of the words above.
NOT_HEALTHY = (
    "normal pressure",
    "normal tension",
    "normal variant",
    "near normal",
    "nearly normal",
    "triple negative",
    "false negative",
    "gram negative",
    "smear negative",
    "clear cell",
)

# In writing without spaces: what is looked for within a name, in this order.
UNSPACED_NONE = """
无 無 未见 未見 没有 沒有 없음
"""
UNSPACED_NONE_LAST = """
なし 無し 없음
"""
UNSPACED_AFFECTED = """
不正常 非正常 不健康 异常 異常 비정상 阳性 陽性 恶性 悪性 惡性 患病 疾病 ผิดปกติ
"""
UNSPACED_HEALTHY = """
正常 健康 健常 阴性 陰性 对照 對照 対照 정상 건강 음성 대조 ปกติ
"""
UNSPACED_BENIGN = """
良性
"""
